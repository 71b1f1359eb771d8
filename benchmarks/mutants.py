"""Wrong lines on purpose: does a test notice?

    python benchmarks/mutants.py --seed 0 --count 40 --out docs/mutants.md

Draws mutants of the rooms that compute (`ROOMS`), puts each into a copy of the source, runs the tests that concern it,
the nearest first, until one fails, and writes a table. A mutant of which the tests take many times their usual time
counts as killed; in the end all tests that noticed one are run without it. A mutant is drawn by a hash of the seed, its
function and its text, by turns of each kind in each room, so that an edit elsewhere changes few draws.
`mutants_equal.yaml` beside this script lists mutants that were looked at and are equal in effect, with the reason.
Which test noticed a mutant is remembered in ``--known``: another run begins with that test. Nothing in the checkout is
written to but ``--out``.

Exits with 1 where more than ``--allowed`` survive that are not equal in effect.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import yaml
from warm_tests import WarmTests

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("geometry", "transforms", "measure", "evaluation", "stages")
EQUAL = Path(__file__).with_name("mutants_equal.yaml")
LEFT_OUT = "not slow and not browser and not real and not export"
NEAR, MOST = 2, 16
"""How many imports lie at most between a test file and the module that it concerns, and how many files are run."""
FIRST, PATIENCE = 4, 900.0
"""How many of them are run before any is timed, and for how many seconds."""

COMPARED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
COMPUTED: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_PAIRS = (
    ("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("floor", "ceil"), ("any", "all"), ("sin", "cos"),
    ("amin", "amax"), ("rows", "columns"), ("height", "width"),
)  # fmt: skip
RENAMED = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
_NO_ARGUMENTS = {"isinstance", "zip", "field", "minimum", "maximum", "hypot", "min", "max", "allclose", "array_equal"}
"""Functions whose arguments may change places, or that do no work."""


@dataclass(frozen=True)
class Mutant:
    """One wrong line.

    Args:
        path: File below ``src/gracile``.
        line: Its line.
        function: Where it stands, such as ``Column.cut``.
        kind: What was done.
        before: The text that was.
        after: The text in its place.
        span: Where that text begins and ends in the file, in characters.
    """

    path: str
    line: int
    function: str
    kind: str
    before: str
    after: str
    span: tuple[int, int]

    @property
    def key(self) -> str:
        """What names it whatever line it has moved to."""
        return f"{self.path} {self.function}: {self.before} -> {self.after}"


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may be made of a node: kind and replacement."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        turned = [COMPARED[type(node.ops[0])](), *node.ops[1:]]
        yield "comparison", ast.Compare(node.left, turned, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED and not isinstance(node.left, ast.JoinedStr):
        yield "arithmetic", ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield "and, or", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield "sign", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "constant", ast.Constant(node.value + 1 if isinstance(node.value, int) else node.value * 1.7 or 1.0)
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        alike = len(node.args) >= 2 and type(node.args[0]) is type(node.args[1]) is not ast.Starred
        if alike and name not in _NO_ARGUMENTS and not name.endswith("Error"):
            yield "arguments", ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    elif isinstance(node, ast.Attribute) and node.attr in RENAMED:
        yield "min, max", ast.Attribute(node.value, RENAMED[node.attr], node.ctx)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in RENAMED:
        yield "min, max", ast.Name(RENAMED[node.id], node.ctx)
    elif isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "statement", ast.Pass()
    elif isinstance(node, ast.If | ast.IfExp):
        yield "condition", ast.Constant(False)


def sites(path: Path, text: str) -> Iterator[Mutant]:
    """Every mutant of a file but those in errors, texts, annotations and what only checks lengths."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))

    def walk(node: ast.AST, where: tuple[str, ...]) -> Iterator[Mutant]:
        for kind, other in changes(node):
            place = node.test if isinstance(node, ast.If | ast.IfExp) else node
            begin = starts[place.lineno - 1] + place.col_offset
            end = starts[place.end_lineno - 1] + place.end_col_offset
            after = ast.unparse(ast.fix_missing_locations(other))
            written = after if isinstance(other, ast.Pass) else f"({after})"
            before = ast.unparse(place)
            name = path.as_posix()
            yield Mutant(name, place.lineno, ".".join(where), kind, before, written.strip(), (begin, end))
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            where = (*where, node.name)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                checks = isinstance(child, ast.keyword) and child.arg in ("strict", "dtype", "frozen")
                silent = isinstance(child, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom)
                if isinstance(child, ast.AST) and not checks and not silent:
                    yield from walk(child, where)

    yield from walk(ast.parse(text), ())


def drawn(seed: int, count: int, rooms: tuple[str, ...] = ROOMS) -> list[Mutant]:
    """So many mutants for a seed: by turns from each room, and in a room by turns of each kind."""

    def rank(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.kind} {mutant.key}".encode()).hexdigest()

    by_room = []
    for room in rooms:
        found = [
            mutant
            for path in sorted((ROOT / "src/gracile" / room).rglob("*.py"))
            for mutant in sites(path.relative_to(ROOT / "src/gracile"), path.read_text())
        ]
        turns: Counter[str] = Counter()
        ranked = []
        for mutant in sorted(found, key=rank):
            ranked.append(((turns[mutant.kind], rank(mutant)), mutant))
            turns[mutant.kind] += 1
        by_room.append([mutant for _, mutant in sorted(ranked, key=lambda pair: pair[0])])
    turn = max(len(room) for room in by_room)
    return [room[place] for place in range(turn) for room in by_room if place < len(room)][:count]


class Tests:
    """Which test files concern a module, by imports, and how long each takes without a mutant.

    Args:
        times: File that remembers the times.
        budget: Seconds of tests for a mutant.
    """

    def __init__(self, times: Path, budget: float) -> None:
        self.times, self.budget = times, budget
        source = {name_of(path): path for path in sorted((ROOT / "src/gracile").rglob("*.py"))}
        self.exports = {
            name: dict(_imported(path)) for name, path in source.items() if path.name == "__init__.py"
        }  # fmt: skip
        self.users: dict[str, set[str]] = defaultdict(set)
        tests = sorted((ROOT / "tests").rglob("test_*.py"))
        for name, path in [*source.items(), *((str(path.relative_to(ROOT)), path) for path in tests)]:
            for alias, module in _imported(path):
                for step in (f"{module}.{alias}", self.exports.get(module, {}).get(alias, module)):
                    if step in source and step != name:
                        self.users[step].add(name)

    def near(self, path: str) -> list[str]:
        """Test files by the number of imports to a module, the mirror of the module's own name first."""
        module = name_of(ROOT / "src/gracile" / path)
        mirror = f"tests/{Path(path).parent}/test_{Path(path).stem}"
        steps, edge = {module: 0}, [module]
        for step in range(1, NEAR + 1):
            edge = [user for name in edge for user in sorted(self.users[name]) if user not in steps]
            steps.update(dict.fromkeys(edge, step))
        files = [name for name in steps if name.endswith(".py")]
        room = f"tests/{Path(path).parent}/"
        files += [
            str(file.relative_to(ROOT)) for file in sorted((ROOT / room).glob("test_*.py"))
            if str(file.relative_to(ROOT)) not in files
        ]  # fmt: skip
        files.sort(key=lambda f: (not f.startswith(mirror), steps.get(f, NEAR), not f.startswith(room), f))
        return files[:MOST]

    def chosen(self, path: str, seconds: dict[str, float]) -> list[str]:
        """The nearest files that fit the budget together."""
        taken, spent = [], 0.0
        for file in self.near(path):
            if spent + seconds[file] <= self.budget:
                taken.append(file)
                spent += seconds[file]
        return taken

    def timed(self, files: list[str]) -> dict[str, float]:
        """Seconds of each file; those that were never timed as they are now are run. Exits where a test fails."""
        known = json.loads(self.times.read_text()) if self.times.exists() else {}
        marks = {file: hashlib.sha256((ROOT / file).read_bytes()).hexdigest()[:12] for file in files}
        if new := [file for file in files if known.get(file, {}).get("mark") != marks[file]]:
            with tempfile.TemporaryDirectory() as folder:
                report = Path(folder) / "report.xml"
                done = run_tests(new, ROOT / "src", None, f"--junit-xml={report}", "-o", "junit_family=xunit1")
                if done.returncode:
                    sys.exit(f"A test fails without a mutant:\n{done.stdout[-2000:]}")
                known |= {file: {"mark": marks[file], "seconds": 0.0} for file in new}
                for case in ElementTree.parse(report).iter("testcase"):
                    known[case.attrib["file"]]["seconds"] += float(case.attrib["time"])
            self.times.write_text(json.dumps(known, indent=1))
        return {file: known[file]["seconds"] for file in files}


def name_of(path: Path) -> str:
    """``gracile.stages.gate`` of its path."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    """Names that a file imports from gracile, and the module that it names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gracile"):
            for alias in node.names:
                yield alias.name, str(node.module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("gracile"):
                    yield "", alias.name


def run_tests(files: list[str], source: Path, limit: float | None, *more: str) -> subprocess.CompletedProcess[str]:
    """One pytest over some files until the first failure. Raises TimeoutExpired."""
    words = ["-q", "-x", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", LEFT_OUT, *more, *files]
    return warm().run(words, source, limit)


@cache
def warm() -> WarmTests:
    """The process that has loaded the libraries."""
    return WarmTests(ROOT)


def killer_of(mutant: Mutant, tests: Tests, copy: Path, before: str = "") -> str:
    """The test that notices a mutant, or that it takes too long; empty where none does.

    Args:
        mutant: The wrong line.
        tests: Which test files there are.
        copy: A copy of the source, to put it into.
        before: A test that noticed it in an earlier run, which is asked first.
    """
    near = tests.near(mutant.path)
    for first in ([before] if before.partition("::")[0] in near else [], near[:FIRST]):
        killer = failing(mutant, first, PATIENCE, copy) if first else ""
        if killer.startswith("tests/"):
            return killer
    seconds = tests.timed(near)
    rest = [file for file in tests.chosen(mutant.path, seconds) if file not in near[:FIRST]]
    rest += near[:FIRST] if killer else []
    return failing(mutant, rest, 120 + 6 * sum(seconds[file] for file in rest), copy) if rest else ""


def failing(mutant: Mutant, files: list[str], limit: float, copy: Path) -> str:
    """The first of some tests that fails with a mutant, ``time limit``, or an empty text."""
    target = copy / "src/gracile" / mutant.path
    original = (ROOT / "src/gracile" / mutant.path).read_bytes()
    begin, end = mutant.span
    target.write_bytes(original[:begin] + mutant.after.encode() + original[end:])
    try:
        done = run_tests(files, copy / "src", limit)
    except subprocess.TimeoutExpired:
        return "time limit"
    finally:
        target.write_bytes(original)
    if done.returncode in (0, 5):
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return failed[1] if failed else "an error while the tests are collected"


def copied(folder: Path) -> Path:
    """A copy of the source, with the models and the demo beside it."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("models", "demo"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def commit() -> str:
    """The checkout's commit; of a changed source, with that word."""
    name, changed = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "src", "tests"])
    )
    return f"{name} and changes" if changed else name


def row(mutant: Mutant, fate: str) -> str:
    """A line of the table."""

    def code(text: str) -> str:
        text = " ".join(text.split()).replace("|", "\\|")
        return f"`{text if len(text) <= 90 else text[:87] + '...'}`"

    return f"| {mutant.path}:{mutant.line} | {mutant.kind} | {code(mutant.before)} | {code(mutant.after)} | {fate} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--allowed", type=int, default=4, help="how many may survive")
    parser.add_argument("--at", default="", help="only mutants whose file:line contains this")
    parser.add_argument("--budget", type=float, default=150.0, help="seconds of tests for a mutant, as timed")
    parser.add_argument("--times", type=Path, default=Path(tempfile.gettempdir()) / "gracile-mutants-times.json")
    parser.add_argument("--known", type=Path, default=Path(tempfile.gettempdir()) / "gracile-mutants-known.json")
    parser.add_argument("--list", action="store_true", help="only say which are drawn")
    parser.add_argument("--out", type=Path, help="a page below whose first part the table is written")
    arguments = parser.parse_args()
    mutants = [m for m in drawn(arguments.seed, arguments.count) if arguments.at in f"{m.path}:{m.line}"]
    if arguments.list:
        print("\n".join(row(mutant, "") for mutant in mutants))
        return 0
    os.nice(10)
    equal = {entry["mutant"]: entry["reason"] for entry in yaml.safe_load(EQUAL.read_text()) or []}
    tests = Tests(arguments.times, arguments.budget)
    known = json.loads(arguments.known.read_text()) if arguments.known.exists() else {}
    rows, survived, alike, noticed = [], 0, 0, set()
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        for mutant in mutants:
            if mutant.key in equal:
                fate = f"equal in effect: {equal[mutant.key]}"
                alike += 1
            else:
                began = time.monotonic()
                killer = killer_of(mutant, tests, copy, known.get(mutant.key, ""))
                known[mutant.key] = killer
                arguments.known.write_text(json.dumps(known, indent=1))
                fate = killer.removeprefix("tests/") or "**survived**"
                survived += not killer
                noticed |= {killer} if killer.startswith("tests/") else set()
                print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
            rows.append(row(mutant, fate))
            print(rows[-1], flush=True)
            if fate == "**survived**":
                print(f"- mutant: {json.dumps(mutant.key)}", file=sys.stderr, flush=True)
    without = run_tests(sorted(noticed), ROOT / "src", None) if noticed else None
    if without is not None and without.returncode:
        sys.exit(f"A test fails without a mutant:\n{without.stdout[-2000:]}")
    summary = f"Of {len(rows)} mutants {survived} survived and {alike} are equal in effect."
    print(summary)
    if arguments.out:
        said = f"{summary} Seed {arguments.seed}, commit {commit()}, {date.today()}."
        head = "| where | kind | before | after | noticed by |\n|---|---|---|---|---|\n"
        page = arguments.out.read_text().partition("\n## ")[0].rstrip()
        arguments.out.write_text(f"{page}\n\n## What became of them\n\n{said}\n\n{head}" + "\n".join(rows) + "\n")
    return int(survived > arguments.allowed)


if __name__ == "__main__":
    sys.exit(main())
