"""Mutated inputs of every format that is read, and of every file that the tool writes itself.

    python benchmarks/campaigns/inputs.py --count 8000
    python benchmarks/campaigns/inputs.py --count 400 --only predictions last-ckpt

Each input is a sound file with something wrong, drawn by the seed and its number; it is read in a process of its own,
forked from one that has loaded everything, which may take 10 seconds and 2 GiB. Files of strangers' formats are the
same each time; the tool's own hold times, so that what is wrong in them may lie a little elsewhere. What may become
of it:

    read      it was read: what was wrong did no harm
    refused   a GracileError that tells what is wrong
    raw       another error, or a reason that names a Python type
    memory    it took more than there was
    hang      it took longer than there was
    died      the process ended otherwise

The exit code is 1 when any was not read or refused. The inputs that failed are kept with --keep.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

VERDICTS = ("read", "refused", "raw", "memory", "hang", "died")
SECONDS = 10
GIBIBYTES = 2


def main() -> None:
    arguments = parse()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import formats
    import own_files
    from mutations import mutated

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        subjects = formats.write_all(folder / "sound") | own_files.write_all(folder / "sound")
        chosen = [name for name in subjects if not arguments.only or name in arguments.only]
        for name in chosen:
            shutil.copytree(folder / "sound" / name, folder / "first")
            verdict, said = judged(subjects[name].read, folder / "first")
            shutil.rmtree(folder / "first")
            if verdict != "read":
                print(f"The sound file of {name} is not read: {verdict}: {said}")
            if verdict not in ("read", "refused"):
                raise SystemExit(2)
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        failures: list[dict[str, Any]] = []
        for number in range(arguments.count):
            name = chosen[number % len(chosen)]
            subject, place = subjects[name], folder / "input"
            shutil.copytree(folder / "sound" / name, place)
            draw = random.Random(f"{arguments.seed} {number}")
            content = mutated((place / subject.file).read_bytes(), subject.form, draw)
            (place / subject.file).write_bytes(content)
            verdict, said = judged(subject.read, place)
            counts[name][verdict] += 1
            if verdict not in ("read", "refused"):
                failures.append({"kind": name, "number": number, "verdict": verdict, "said": said})
                print(f"{name}, number {number}: {verdict}", file=sys.stderr, flush=True)
                if arguments.keep:
                    kept = arguments.keep / f"{number}-{name}"
                    kept.mkdir(parents=True, exist_ok=True)
                    (kept / Path(subject.file).name).write_bytes(content)
            shutil.rmtree(place)
            if (number + 1) % 500 == 0:
                print(f"{number + 1} of {arguments.count}", file=sys.stderr, flush=True)
    show(counts, failures, arguments)


def judged(read: Any, place: Path) -> tuple[str, str]:
    """What became of reading an input in a process of its own, and what it said."""
    ours, theirs = os.pipe()
    process = os.fork()
    if not process:
        os.close(ours)
        _read(read, place, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as channel:
        said = channel.read().decode("utf-8", "replace")
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return ("hang" if number == signal.SIGALRM else "died"), signal.Signals(number).name
    verdict, _, reason = said.partition(" ")
    return (verdict, reason) if verdict else ("died", f"exit {os.WEXITSTATUS(status)}")


def _read(read: Any, place: Path, channel: int) -> None:
    """Read an input within bounds and tell what became of it; never returns."""
    from formats import TYPE_NAME

    from gracile.errors import GracileError

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + GIBIBYTES * 2**30,) * 2)
    try:
        read(place)
        said = "read "
    except GracileError as error:
        said = f"{'raw' if TYPE_NAME.search(str(error)) else 'refused'} {error}"
    except MemoryError:
        said = "memory " + traceback.format_exc(limit=-4)
    except BaseException:
        said = "raw " + traceback.format_exc(limit=-6)
    os.write(channel, said.encode("utf-8", "backslashreplace")[:4000])
    os._exit(0)


def show(counts: dict[str, Counter[str]], failures: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print the table, keep the JSON, and end."""
    whole: Counter[str] = sum(counts.values(), Counter())
    print(f"{'kind':20}" + "".join(f"{verdict:>9}" for verdict in VERDICTS))
    for name, found in [*counts.items(), ("all", whole)]:
        print(f"{name:20}" + "".join(f"{found[verdict]:9}" for verdict in VERDICTS))
    for failure in failures[: arguments.shown]:
        print(f"\n{failure['kind']}, number {failure['number']}: {failure['verdict']}\n{failure['said'].rstrip()}")
    if arguments.json:
        content = {"seed": arguments.seed, "count": arguments.count, "kinds": counts, "failures": failures}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(1 if failures else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=8000, help="inputs, of each kind in turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], metavar="KIND", help="only these kinds")
    parser.add_argument("--json", type=Path, default=None, help="file for the outcome")
    parser.add_argument("--keep", type=Path, default=None, help="folder for the inputs that failed")
    parser.add_argument("--shown", type=int, default=20, help="failures to print")
    return parser.parse_args()


if __name__ == "__main__":
    main()
