"""What somebody gets who installs the wheel: its size, the environment's, and every command outside the checkout.

    python benchmarks/wheel.py dist/gracile-0.1.0-py3-none-any.whl [--constraints FILE] [--extra train] [--over SITE]

The wheel is installed with what it requires in a fresh environment in a temporary folder, and all commands are run
there, in a folder of their own: help, listings, every shipped model, scores, tables, reports, the server, completion,
and trainings as small as they can be. Without torch those that need it must say so in one sentence. Printed are the
seconds of each command, and at the end the sizes; the exit code is 1 when a command failed or the wheel is too large.
With ``--over`` nothing is fetched: the environment sees the packages of that folder.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

LARGEST_WHEEL_MB = 60
NEED_TORCH = {"train", "plan", "tune", "few-shot", "explain", "models import-smicnet", "models upgrade"}

COMMANDS = """
from typer.main import get_command
from gracile.cli import app
def walk(command, path):
    inner = getattr(command, "commands", {})
    if not inner or getattr(command, "invoke_without_command", False):
        print(path)
    for name, one in inner.items():
        walk(one, f"{path} {name}".strip())
walk(get_command(app), "")
"""
"""Prints every command that there is."""

WHERE = """
import gracile, gracile.names
from pathlib import Path
place = Path(gracile.__file__).parent
names = gracile.names
folders = [names.models_folder(), names.demo_folder("retina"), Path(names.docs_page("recipes.md"))]
assert all(place in path.parents and path.exists() for path in folders), folders
assert not list((place / "docs").glob("images"))
print(place)
"""

IN_PYTHON = """
import gracile
from gracile.names import demo_folder
result = gracile.load("retina-av")(demo_folder("retina") / "05_h.jpg")
assert result.mask is not None and result.mask.any()
print(result.status)
"""

QUICK = [
    "prepare.diameter=96", "stages.segment.network.options={widths: [4, 8, 12]}",
    "stages.segment.sampler.patch=[32,32]", "train.epochs=1", "trainer.threads=1",
    "trainer.workers=0",
]  # fmt: skip


class Environment:
    """A fresh environment with the wheel installed, and a folder to work in.

    Args:
        folder: Temporary, outside the checkout.
        wheel: What is installed.
        constraints: Versions of what is installed with it.
        extra: An extra to install, or none.
        over: Packages of this folder are seen instead of installing any.
    """

    def __init__(self, folder: Path, wheel: Path, constraints: Path | None, extra: str, over: Path | None) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.environment = folder / "environment"
        variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}
        self.variables = {**variables, "PYTHONNOUSERSITE": "1", "HOME": str(folder)}
        subprocess.run([sys.executable, "-m", "venv", self.environment], check=True)
        self.bin = self.environment / ("Scripts" if os.name == "nt" else "bin")
        self.python = str(self.bin / "python")
        install = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        begun = time.monotonic()
        named = f"{wheel.resolve()}[{extra}]" if extra else str(wheel.resolve())
        if over is not None:
            self.site().joinpath("over.pth").write_text(f"{over.resolve()}\n", encoding="utf-8")
        chosen = ["--no-deps"] if over is not None else ["--constraint", str(constraints)] if constraints else []
        subprocess.run([*install, *chosen, named], check=True, env=os.environ)
        self.install_seconds = time.monotonic() - begun
        self.has_torch = self.run("torch?", [self.python, "-c", "import torch"]).returncode == 0

    def site(self) -> Path:
        """The folder of its packages."""
        told = subprocess.run(
            [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
        return Path(told.stdout.strip())

    def run(self, what: str, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder of work."""
        begun = time.monotonic()
        done = subprocess.run(
            command, cwd=self.work, env={**self.variables, **variables}, capture_output=True, encoding="utf-8",
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if what != "torch?":
            print(f"{time.monotonic() - begun:7.1f} s  {what}", flush=True)
        return done

    def megabytes(self) -> dict[str, float]:
        """Of each of its packages, the largest first."""
        sizes = {}
        for entry in self.site().iterdir():
            files = entry.rglob("*") if entry.is_dir() else [entry]
            sizes[entry.name] = sum(file.lstat().st_size for file in files if file.is_file()) / 1e6
        return dict(sorted(sizes.items(), key=lambda item: -item[1]))


class Trial:
    """Runs commands in an environment and keeps what went wrong."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.failures: list[str] = []
        self.tried: set[str] = set()

    def gracile(self, command: str, *arguments: str, code: int = 0, says: str = "", **variables: str) -> str:
        """Run a command of the program; gives what it printed.

        Args:
            command: Its name, such as ``data check``.
            arguments: What follows.
            code: The exit code that is right.
            says: What must stand in its output.
            variables: Of the environment.
        """
        self.tried.add(command)
        what = " ".join(["gracile", command, *arguments])
        done = self.environment.run(
            what, [str(self.environment.bin / "gracile"), *command.split(), *arguments], **variables
        )
        said = done.stdout + done.stderr
        if command in NEED_TORCH and not self.environment.has_torch and "--help" not in arguments:
            right = done.returncode != 0 and done.stderr.count("\n") == 1 and "pip install" in done.stderr
        else:
            right = done.returncode == code and says in said and "Traceback" not in said
        self.note(right, what, f"exit code {done.returncode}\n{said[-2000:]}")
        return done.stdout

    def python(self, what: str, code: str) -> str:
        """Run Python; gives what it printed."""
        done = self.environment.run(what, [self.environment.python, "-c", code])
        self.note(done.returncode == 0, what, done.stderr[-2000:])
        return done.stdout

    def note(self, right: bool, what: str, why: str) -> None:
        """Remember a failure."""
        if not right:
            self.failures.append(what)
            print(f"FAILED: {what}\n{why}", flush=True)


def listings(trial: Trial) -> None:
    """What only tells: help, names, recipes, studies, completion, and a message that names a page."""
    for command in trial.python("every command", COMMANDS).splitlines():
        trial.gracile(command, "--help", says="Usage")
    trial.tried.clear()
    trial.python("where everything lies", WHERE)
    trial.gracile("", "--version")
    trial.gracile("models", says="retina-av")
    trial.gracile("models", "--json", says='"losses"')
    recipe = trial.gracile("recipe", "structure-2d", says="refining-unet")
    (trial.environment.work / "mine.yaml").write_text(recipe, encoding="utf-8")
    trial.gracile("recipe", "retina-av", "--set", "train.epochs=7", says="epochs: 7")
    trial.gracile("study", "learning-rate")
    trial.gracile(
        "", says="retina-av", _GRACILE_COMPLETE="complete_bash", COMP_WORDS="gracile predict ret", COMP_CWORD="2"
    )
    (trial.environment.work / "wrong.yaml").write_text("name: wrong\n", encoding="utf-8")
    said = trial.environment.run(
        "a wrong recipe", [str(trial.environment.bin / "gracile"), "recipe", "wrong.yaml"]
    ).stderr
    page = re.search(r"See (.*\.md)\.", said)
    trial.note(bool(page) and Path(page[1]).is_file(), "a message names a page that is there", said)


def applied(trial: Trial) -> None:
    """Shipped models, and what is done with their answers."""
    work = trial.environment.work
    demo = Path(
        trial.python("demo pictures", "from gracile.names import demo_folder; print(demo_folder('retina'))").strip()
    )
    trial.gracile("demo", "--out", "demo")
    trial.gracile("models verify", "retina-av", says="onnxruntime")
    trial.gracile("models ensemble", "retina-av", "retina-av", "--out", "joined")
    trial.gracile("predict", "retina-av", str(demo / "05_h.jpg"), "--out", "one", "--json", says='"status": "found"')
    for part in ("1/2", "2/2"):
        trial.gracile("predict", "retina-av", str(demo), "--out", "parts", "--shard", part)
    trial.gracile("merge", "parts")
    for folder, source in (("images", demo), ("labels", work / "parts")):
        (work / "data" / folder).mkdir(parents=True)
        for file in source.glob("0*.jpg" if folder == "images" else "0*.png"):
            shutil.copy(file, work / "data" / folder)
    trial.gracile("data check", "data", says="0 errors")
    trial.gracile(
        "evaluate", "parts", "data/labels", "--protocol", "segmentation", "--recipe", "retina-av", "--report", "s.html",
        "--images", "data/images", "--json", "s.json", says="dice",
    )  # fmt: skip
    trial.gracile("compare", "retina-av", "retina-av", "data", "--out", "compared", "--protocol", "segmentation")
    trial.gracile("table", "one", "parts", says="retina-av")
    trial.gracile("calibrate", "surgical-tool", frames_of(trial), "--out", "calibrated", says="nothing is promised")
    trial.gracile("data export-rle", "parts", "rle.csv", "--structure", "vein", "--recipe", "retina-av")
    size = trial.python(
        "the size of a mask", "from PIL import Image; print(*Image.open('one/05_h.png').size[::-1], sep=',')"
    )
    trial.gracile("data import-rle", "rle.csv", "--size", size.strip(), "--out", "rle")
    for page in (
        "demo/retina-av/report/index.html",
        "one/report/index.html",
        "s.html",
        "compared/index.html",
        "calibration.html",
    ):
        trial.note(
            (work / page).is_file() and (work / page).stat().st_size > 10_000, f"the page {page}", "it is not there"
        )
    trial.gracile("export", "spinal-cord", "--to", "openvino", "--out", "exported", says="exported/spinal-cord")
    trial.python("from Python", IN_PYTHON)
    serving(trial, "serve", "retina-av")
    serving(trial, "view", "one")


def frames_of(trial: Trial) -> str:
    """A list of pictures with a kind each, as of two clips."""
    pictures = trial.python(
        "pictures of clips", "from gracile.names import demo_folder; print(demo_folder('ultrasound'))"
    ).strip()  # fmt: skip
    files = sorted(Path(pictures).glob("*.png"))
    rows = [f"{file},{('absent', 'present')[n % 2]},person{n // 3}" for n, file in enumerate(files)]
    (trial.environment.work / "frames.csv").write_text("\n".join(["image,class,subject", *rows]), encoding="utf-8")
    return "frames.csv"


def serving(trial: Trial, command: str, *arguments: str) -> None:
    """Start a page, fetch it, and end it as a person does."""
    trial.tried.add(command)
    begun = time.monotonic()
    gracile = str(trial.environment.bin / "gracile")
    process = subprocess.Popen(
        [gracile, command, *arguments, "--port", "0"], cwd=trial.environment.work, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, encoding="utf-8", env={**trial.environment.variables, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[1]
        page = fetched(address, lambda: process.poll() is None)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    except (IndexError, subprocess.TimeoutExpired):
        page = ""
    finally:
        process.kill()
        said = process.communicate()[1]
    print(f"{time.monotonic() - begun:7.1f} s  gracile {command}", flush=True)
    trial.note(
        "<html" in page and process.returncode in (0, 130), f"gracile {command}", f"{process.returncode}\n{said}"
    )


def fetched(address: str, going: Callable[[], bool]) -> str:
    """The page of an address, as soon as it is served."""
    until = time.monotonic() + 120
    while going() and time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return str(answer.read().decode("utf-8"))
        except OSError:
            time.sleep(0.2)
    return ""


def learned(trial: Trial) -> None:
    """Trainings as small as can be; without torch, what is said instead."""
    data = ["data", "--recipe", "mine.yaml"]
    settings = [part for setting in QUICK for part in ("--set", setting)]
    labels = trial.environment.work / "data" / "labels"
    two_classes = "from pathlib import Path; import numpy as np; from PIL import Image\n"
    two_classes += f"for file in Path({str(labels)!r}).glob('*.png'):\n"
    two_classes += "    Image.fromarray((np.array(Image.open(file)) > 0).astype(np.uint8)).save(file)"
    trial.python("labels of one structure", two_classes)
    trial.gracile("train", "mine.yaml", "data", "--out", "run", *settings)
    trial.gracile("plan", "data", "--out", "planned.yaml", "--minutes", "1")
    trial.gracile("tune", "batch-size", *data, "--out", "study", "--trials", "1", *settings)
    trial.gracile(
        "few-shot", "mine.yaml", "data", "--out", "few", "--test", "05_h", "--shots", "1", "--device", "cpu", *settings
    )
    pictures = trial.python(
        "pictures", "from gracile.names import demo_folder; print(demo_folder('ultrasound'))"
    ).strip()
    trial.gracile("explain", "nerve-ultrasound", str(Path(pictures) / "0010.png"), "--out", "explained")
    trial.python(
        "a model of one's own",
        "import shutil; from gracile.names import models_folder; "
        "shutil.copytree(models_folder() / 'nerve-ultrasound', 'own')",
    )
    trial.gracile("models upgrade", "own")
    trial.gracile("models import-smicnet", "absent.h5", "--out", "imported", code=1, says="absent.h5")


def main() -> None:
    """Install, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--constraints", type=Path, help="a lock file whose versions are installed")
    parser.add_argument("--extra", default="", help="an extra to install with it")
    parser.add_argument("--over", type=Path, help="a folder of packages to see instead of installing any")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gracile-wheel-") as folder:
        environment = Environment(
            Path(folder).resolve(), options.wheel, options.constraints, options.extra, options.over
        )  # fmt: skip
        sizes = environment.megabytes()
        trial = Trial(environment)
        listings(trial)
        untried = set(trial.python("every command", COMMANDS).splitlines())
        applied(trial)
        learned(trial)
        untried -= trial.tried
        trial.note(not untried, "every command is tried", f"not tried: {', '.join(sorted(untried))}")
    wheel_mb = options.wheel.stat().st_size / 1e6
    trial.note(wheel_mb <= LARGEST_WHEEL_MB, "the size of the wheel", f"{wheel_mb:.1f} MB, at most {LARGEST_WHEEL_MB}")
    figures = {
        "wheel_mb": round(wheel_mb, 1), "environment_mb": round(sum(sizes.values())),
        "install_seconds": round(environment.install_seconds, 1), "torch": environment.has_torch,
        "failures": trial.failures, "largest_mb": {name: round(size) for name, size in list(sizes.items())[:15]},
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if trial.failures else 0)


if __name__ == "__main__":
    main()
