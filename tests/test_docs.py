"""The pages of docs/ do what they say."""

import ast
import json
import re
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from skimage.draw import disk, line
from typer.testing import CliRunner

from gracile import api
from gracile.cli import app
from gracile.names import MODELS, NETWORKS, PROTOCOLS, RECIPES, STUDIES, docs_page
from gracile.recipe import read_recipe
from gracile.serve.app import create_app
from gracile.serve.jobs import JobStore
from gracile.serve.settings import ServeSettings
from gracile.trust import Wish
from tests.conftest import TINY
from tests.gated_clips import write_clips
from tests.installed import PLUGIN, install, plugin_paths
from tests.serve.conftest import listening
from tests.two_channels import random_bundle, write_data
from tests.two_channels import recipe_of as two_channels

DOCS = Path(__file__).parents[1] / "docs"
QUICK = [
    "prepare.diameter=64",
    "stages.segment.network.options.widths=[8,12,16]",
    "stages.segment.sampler.patch=[64,64]",
    "stages.segment.augment.elastic=1",
    "train.epochs=12",
    "train.learning_rate=0.01",
    "trainer.threads=1",
    "trainer.graphs=false",
    "trainer.workers=0",
]
"""What makes the page's training take seconds; the page's own command is otherwise run as it stands."""


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language on a page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(page: str) -> list[list[str]]:
    """The ``gracile`` commands of a page's ``sh`` blocks, as arguments."""
    joined = [block.replace("\\\n", " ") for block in blocks(page, "sh")]
    lines = [line for block in joined for line in block.splitlines() if line.startswith("gracile ")]
    return [shlex.split(line)[1:] for line in lines]


def write_tendons(folder: Path, first: int, count: int) -> None:
    """Gray pictures with one bright band each, and its mask."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for seed in range(first, first + count):
        random = np.random.default_rng(seed)
        mask = np.zeros((60, 80), dtype=bool)
        rows = random.integers(10, 50, 2)
        for offset in range(-3, 4):
            row, column = line(int(rows[0]) + offset, 5, int(rows[1]) + offset, 74)
            mask[row.clip(0, 59), column] = True
        image = random.normal(60, 15, mask.shape) + 110 * mask
        image[disk((30, 40), 4, shape=mask.shape)] += 20
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{seed:03d}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "labels" / f"{seed:03d}.png")


@pytest.mark.slow
def test_a_structure_of_ones_own_goes_from_folder_to_report_as_its_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command as it stands, but for the minutes, and for how small a test's set is."""
    monkeypatch.chdir(tmp_path)
    write_tendons(Path("my-data/training"), 0, 6)
    write_tendons(Path("my-data/test"), 100, 2)
    write_data(Path("my-volumes"), "volume", count=4)
    write_data(Path("my-volumes"), "volume", count=2, part="Ts", first=100)
    (table,) = blocks("own-structure.md", "json")
    Path("my-volumes/dataset.json").write_text(table)
    for command in commands("own-structure.md"):
        quick = ["0.2" if before == "--minutes" else part for before, part in pairwise(["", *command])]
        settings = [part for one in SMALL for part in ("--set", one)] if command[0] == "train" else []
        outcome = CliRunner().invoke(app, [*quick, *settings])
        assert outcome.exit_code == 0, (command, outcome.output, outcome.exception)
    for page in ("my-structure.html", "scores.html", "volume-scores.html", "predictions/report/index.html",
                 "runs/my-structure/training.html", "runs/my-volumes/plan.html", "runs/folds/index.html"):  # fmt: skip
        assert Path(page).stat().st_size > 10_000, page
    for name in ("100", "101"):
        assert np.array(Image.open(f"predictions/{name}.png")).shape == (60, 80)
        assert np.array(Image.open(f"ensemble/{name}.png")).shape == (60, 80)
    assert len(list(Path("volume-predictions").glob("*.nii.gz"))) == 2
    recipe = read_recipe("runs/my-volumes/recipe.yaml")
    assert recipe.input.channel_names == ["t1", "t2"]


SMALL = ["trainer.threads=1", "trainer.graphs=false", "trainer.workers=0"]


def write_quick_recipe(epochs: int) -> None:
    """What the page on one's own structure plans for tendons, made small, as my-structure.yaml."""
    classes = "classes=[{name: background, color: [0, 0, 0]}, {name: tendon, color: [255, 160, 0]}]"
    settings = ["name=my-structure", classes, *QUICK, f"train.epochs={epochs}"]
    Path("my-structure.yaml").write_text(read_recipe("structure-2d", settings).to_yaml())


def run_page(page: str) -> None:
    """Run every command of a page as it stands."""
    for command in commands(page):
        outcome = CliRunner().invoke(app, command)
        assert outcome.exit_code == 0, (command, outcome.output, outcome.exception)


@pytest.mark.slow
def test_folds_go_as_their_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_quick_recipe(epochs=2)
    write_tendons(Path("my-data"), 0, 6)
    write_tendons(Path("my-data/test"), 100, 2)
    run_page("folds.md")
    page = (DOCS / "folds.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| (`.*?) \| ", page, re.MULTILINE):
        assert all(Path("runs/folds", name).exists() for name in re.findall(r"`([^`]+)`", row)), row
    (example,) = blocks("folds.md", "python")
    exec(compile(example, "folds.md", "exec"), {})


@pytest.mark.slow
def test_fine_tuning_goes_as_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_quick_recipe(epochs=4)
    write_tendons(Path("my-data/training"), 0, 6)
    write_tendons(Path("new-data/training"), 50, 5)
    write_tendons(Path("new-data/test"), 100, 3)
    api.train("my-structure.yaml", "my-data/training", "runs/tendon")
    write_data(Path("DATA"), "volume", 2)
    Path("two-channels.yaml").write_text(two_channels("volume").to_yaml())
    random_bundle(two_channels("volume", channels=1, names=("t1",)), Path("runs/one"))
    run_page("finetuning.md")
    (example,) = blocks("finetuning.md", "python")
    exec(compile(example, "finetuning.md", "exec"), {})
    for folder in ("runs/new/comparison", "comparison", "comparison-python"):
        assert Path(folder, "index.html").stat().st_size > 10_000


@pytest.mark.slow
def test_several_channels_go_as_their_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "data-layouts.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Several channels\n(.*?)^## ", page, re.DOTALL | re.MULTILINE)
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    (wanted,) = re.findall(r"^```yaml\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    recipe = two_channels("volume").model_dump(mode="json") | yaml.safe_load(wanted)
    Path("two-channels.yaml").write_text(yaml.safe_dump(recipe))
    write_data(Path("DATA"), "volume", 2)
    write_data(Path("DATA"), "volume", 2, "Ts", first=5)
    rows = [f"new-{n},DATA/imagesTs/p{n}_0001.nii.gz,DATA/imagesTs/p{n}_0000.nii.gz" for n in (5, 6)]
    Path("new-cases.csv").write_text("\n".join(["id,image_t2,image_t1", *rows]))
    for line_ in block.splitlines():
        outcome = CliRunner().invoke(app, shlex.split(line_)[1:])
        assert outcome.exit_code == 0, (line_, outcome.output, outcome.exception)
    for path in ("predictions/p5.nii.gz", "predictions-csv/new-6.nii.gz", "predictions-csv/report/index.html"):
        assert Path(path).is_file()
    assert Path("predictions/p6.nii.gz").read_bytes() == Path("predictions-csv/new-6.nii.gz").read_bytes()


@pytest.mark.slow
def test_tuning_goes_as_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_quick_recipe(epochs=1)
    write_tendons(Path("my-data/training"), 0, 4)
    write_tendons(Path("my-data/test"), 100, 2)
    write_tendons(Path("new-data/training"), 50, 4)
    (study,) = blocks("tuning.md", "yaml")
    Path("my-study.yaml").write_text(study)
    run_page("tuning.md")
    counts = {path.parent.name: len(path.read_text().splitlines()) - 1 for path in Path("studies").glob("*/trials.csv")}
    assert counts == {"rate": 12, "frozen": 5, "mine": 4}
    page = (DOCS / "tuning.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in STUDIES)


def test_a_package_of_ones_own_goes_as_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "adding.md").read_text(encoding="utf-8")
    for file in ("pyproject.toml", *(f"gracile_example/{name}.py" for name in ("networks", "losses", "measures"))):
        assert f"\n{(PLUGIN / file).read_text(encoding='utf-8')}```\n" in page, file
    monkeypatch.chdir(tmp_path)
    install(monkeypatch, plugin_paths(tmp_path / "site"))
    write_tendons(Path("my-data/training"), 0, 4)
    write_tendons(Path("my-data/test"), 100, 2)
    (recipe,) = blocks("adding.md", "yaml")
    Path("my-structure.yaml").write_text(recipe, encoding="utf-8")
    quick = [setting for setting in QUICK if "network" not in setting]
    for command in commands("adding.md"):
        settings = [part for setting in quick for part in ("--set", setting)] if command[0] == "train" else []
        outcome = CliRunner().invoke(app, [*command, *settings])
        assert outcome.exit_code == 0, (command, outcome.output, outcome.exception)
    assert "largest_island" in Path("predictions/measurements.csv").read_text(encoding="utf-8")


def test_gates_are_calibrated_as_their_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clips(Path("my-clips"), people=2, frames=2, classes=True)
    write_clips(Path("more-clips"), people=1, frames=2, first=50, classes=True)
    run_page("gates.md")
    (table,) = blocks("gates.md", "csv")
    assert set(table.splitlines()) <= set(Path("my-clips/frames.csv").read_text(encoding="utf-8").splitlines())
    (example,) = blocks("gates.md", "python")
    exec(compile(example, "gates.md", "exec"), {})
    for page in ("calibration", "strict", "larger", "another"):
        assert Path(f"{page}.html").stat().st_size > 10_000
    rows = re.findall(
        r"^\| (0\.\d+) \| (\d+) \| (\d+) \| (\d+) \|$", (DOCS / "gates.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) == 4
    for recall, *needed in rows:
        wishes = [Wish(float(recall)), *(Wish(float(recall), "confidence", share) for share in (0.90, 0.95))]
        assert [wish.people_needed for wish in wishes] == [int(count) for count in needed], recall


def test_every_page_that_a_message_names_is_there() -> None:
    """Each is told by `docs_page`, whose path is true in a checkout and in an installed package."""
    named = set()
    for file in (DOCS.parent / "src").rglob("*.py"):
        code = file.read_text(encoding="utf-8")
        for constant in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)):
            if isinstance(constant.value, str) and (pages := re.findall(r"[\w/.-]+\.md\b", constant.value)):
                named |= {(page, file.name) for page in pages}
    others = {"card.md", "CREDITS.md", "README.md"}  # of bundles, of demo pictures, of bundles for MONAI
    assert {page for page, _ in named} > {"recipes.md", "tuning.md"}
    for page, file in named:
        assert page in others or Path(docs_page(page)).is_file(), f"{file} names {page}"


def test_getting_started_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fundus_folder: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").symlink_to(DOCS.parent / "demo")
    Path("DATA").symlink_to(fundus_folder)
    for command in commands("getting-started.md"):
        quick = [*TINY, "train.epochs=2"] if command[0] == "train" else []
        settings = [part for setting in quick for part in ("--set", setting)]
        outcome = CliRunner().invoke(app, [*command, *settings])
        assert outcome.exit_code == 0, (command, outcome.output, outcome.exception)
    assert Path("predictions/report/index.html").stat().st_size > 10_000
    assert Path("runs/first/bundle/bundle.json").exists()
    (example,) = blocks("getting-started.md", "python")
    exec(compile(example, "getting-started.md", "exec"), {})


def test_the_folder_of_a_run_is_as_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").symlink_to(DOCS.parent / "demo")
    run_page("run-folder.md")
    content = json.loads(Path("nerves/predictions.json").read_text())
    assert [record["name"] for record in content["inputs"]] == ["0010", "0045", "0080"]
    page = (DOCS / "run-folder.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in page for key in content["inputs"][0])
    (example,) = blocks("run-folder.md", "python")
    exec(compile(example, "run-folder.md", "exec"), {})


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_serving_serves_python_and_curl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").symlink_to(DOCS.parent / "demo")
    shutil.copytree(tiny_bundle, "models/retina-av")
    settings = ServeSettings((str(tmp_path / "models/retina-av"),), folder=tmp_path / "jobs")
    with listening(create_app(settings, JobStore(tmp_path / "jobs", 3600), threads=1)) as address:
        (python,), (shell,) = blocks("serving.md", "python"), blocks("serving.md", "bash")
        exec(compile(python.replace("http://127.0.0.1:8765", address), "serving.md", "exec"), {})
        script = "set -eu\n" + shell.replace("http://127.0.0.1:8765", address)
        outcome = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=900)
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(Path("result.json").read_text())["status"] == "found"
    mask = np.array(Image.open("mask.png"))
    assert (mask == np.array(Image.open("served/05_h-mask.png"))).all()
    assert not list(Path("jobs").glob(f"{json.loads(Path('job.json').read_text())['id']}*"))


def test_no_page_has_a_gap_left_to_fill() -> None:
    for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CHANGELOG.md"]:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^[A-Z-]{5,}$|TODO|FIXME|\bTBD\b|MIN\b", text, re.MULTILINE), page.name


def printed_dice(table: str) -> float:
    """The mean Dice in the table that ``gracile evaluate`` prints."""
    row = next(line for line in table.splitlines() if re.match(r"^\W*dice\W", line))
    return float(re.findall(r"\d+\.\d+", row)[0])


def test_the_recipes_page_names_every_setting_that_exists() -> None:
    for command in [*commands("recipes.md"), *commands("ultrasound.md"), *commands("cord-measures.md")]:
        assert CliRunner().invoke(app, command).exit_code == 0, command


def test_listings_show_every_name() -> None:
    listing = CliRunner().invoke(app, ["models"]).output
    assert all(name in listing for name in (*MODELS, *RECIPES, *NETWORKS, *STUDIES))
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    assert all(f"## `{name}`" in page for name in PROTOCOLS)


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_row_of_strange_files_names_a_test_that_is_there() -> None:
    rows = [line for line in (DOCS / "strange-files.md").read_text(encoding="utf-8").splitlines() if "::" in line]
    assert rows
    for row in rows:
        for file, name in re.findall(r"`(tests/[^:`]+)::(\w+)`", row) or [("", row)]:
            assert f"def {name}(" in (DOCS.parent / file).read_text(encoding="utf-8"), row
