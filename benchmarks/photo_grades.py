"""Grades of fundus photographs: learned from good photographs spoiled in known ways, checked on others.

    python benchmarks/photo_grades.py DATA --out runs/grades --minutes 4        # again until it says that all are there
    python benchmarks/photo_grades.py DATA --out runs/grades --learn
    python benchmarks/photo_grades.py DATA --out runs/grades --report

Every photograph of DRIVE, LES-AV and HRF is taken as it is and spoiled in eleven ways (`spoiling.py`), each weak,
middle and strong: good, usable, reject. Figures of all, with the vessels that the shipped model finds, are kept in
``OUT/figures.jsonl``; the command goes on where it stopped. ``--learn`` learns the grades from photographs of the
training parts of ``splits.json`` and writes them to ``src/gracile/trust/photograph_grades.yaml``. ``--report`` shows
how those of the test parts, which neither the grades nor the model have seen, are graded, and what the rule that
refuses other pictures says of them. With ``--fold N`` the grades are learned without a quarter of the training
photographs and
shown on it: what is chosen is chosen by these.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from doubts_learning import learned, write
from photographs import Photograph, photographs
from spoiling import DEGREES, WAYS

from gracile.bundle import read_bundle
from gracile.case import Case
from gracile.errors import GracileError
from gracile.pipeline import Pipeline
from gracile.trust.grades import TABLE, doubts_of_photographs, grade_of
from gracile.trust.photograph_figures import photograph_figures

GOOD = "as it is"
NAMES = ("usable", "reject")
DOUBTS = [
    ("sharpness", "low", "blurred"), ("motion", "high", "blurred"), ("contrast", "low", "blurred"),
    ("long_lines", "low", "blurred"),
    ("dark", "high", "dark"), ("level", "low", "dark"), ("uneven", "high", "dark"),
    ("burnt", "high", "overexposed"), ("level", "high", "overexposed"),
    ("visible", "low", "partly cut"), ("border", "low", "partly cut"),
    ("noise", "high", "artefact"), ("blocks", "high", "artefact"), ("blots", "high", "artefact"),
    ("pale", "high", "artefact"), ("plain", "high", "artefact"),
    ("contrast", "high", "artefact"), ("dark_lines", "low", "artefact"),
    ("vessels", "low", "few vessels found"), ("covered", "low", "few vessels found"),
    ("together", "low", "vessels in pieces"),
]  # fmt: skip
Row = dict[str, Any]


def main() -> None:
    arguments = parse()
    rows = read(arguments.out / "figures.jsonl")
    if arguments.learn:
        training = [row for row in rows if not row["held_back"] and "figures" in row]
        doubts = grades_of(training, not arguments.without_vessels)
        count = len({row["name"] for row in training})
        remark = (
            "What speaks against a fundus photograph; learned by benchmarks/photo_grades.py DATA --learn from\n"
            f"{len(training)} views, as they are and spoiled, of {count} photographs of the training parts."
        )
        write(doubts, TABLE, remark)
    elif arguments.report:
        report(rows)
    elif arguments.fold is not None:
        crossed(rows, arguments.fold)
    else:
        collect(arguments, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="models/retina-av")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many; 0 goes to the end")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th photograph")
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--without-vessels", action="store_true", help="learn without what was found")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def views(photograph: Photograph, seed: int) -> Sequence[tuple[str, str]]:
    return [(GOOD, "")] + [(way, degree) for way in WAYS for degree in DEGREES]


def collect(arguments: argparse.Namespace, rows: list[Row]) -> None:
    """Figures of every view that is not there yet."""
    start = time.monotonic()
    known = {(row["name"], row["way"], row["degree"]) for row in rows}
    pipeline = Pipeline.from_bundle(read_bundle(Path(arguments.model)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "figures.jsonl").open("a") as file:
        for number, one in enumerate(photographs(arguments.data, longer=1200)):
            wanted = [view for view in views(one, arguments.seed) if (one.name, *view) not in known]
            if number % arguments.every:
                continue
            for way, degree in wanted:
                if arguments.minutes and time.monotonic() - start > 60 * arguments.minutes:
                    print(f"stopped at {one.name}")
                    return
                random = np.random.default_rng([arguments.seed, number, *way.encode()])
                spoilt = WAYS[way](one, DEGREES.index(degree), random) if degree else one
                row = {"name": one.name, "held_back": one.held_back, "way": way, "degree": degree}
                file.write(json.dumps(row | looked_at(pipeline, spoilt)) + "\n")
                file.flush()
    print("all are there")


def looked_at(pipeline: Pipeline, photograph: Photograph) -> Row:
    """Its figures, or why it is refused."""
    image = photograph.channels_first
    try:
        result = pipeline(Case.from_array(photograph.image))
    except GracileError as error:
        return {"refused": str(error)}
    assert result.region is not None
    seconds = time.perf_counter()
    figures = photograph_figures(image, result.region, result.mask)
    return {"figures": figures, "seconds": time.perf_counter() - seconds}


def wanted_grade(row: Row) -> int:
    return DEGREES.index(row["degree"]) if row["degree"] else 0


def grades_of(rows: Sequence[Row], vessels: bool = True) -> Any:
    """Doubts learned from views; photographs as they are count as much as all their weak ones."""
    each = Counter((row["way"], row["degree"]) for row in rows)
    shares = [(len(WAYS) if row["way"] == GOOD else 1) / each[row["way"], row["degree"]] for row in rows]
    doubts = [one for one in DOUBTS if vessels or one[0] not in ("vessels", "covered", "together")]
    return learned([row["figures"] for row in rows], [wanted_grade(row) for row in rows], shares, doubts, NAMES)


def crossed(rows: Sequence[Row], fold: int) -> None:
    """Learned without every fourth training photograph, shown on it."""
    training = [row for row in rows if not row["held_back"]]
    names = sorted({row["name"] for row in training})[fold::4]
    doubts = grades_of([row for row in training if row["name"] not in names and "figures" in row])
    table([row for row in training if row["name"] in names], doubts)


def report(rows: Sequence[Row]) -> None:
    for held_back in (True, False):
        part = [row for row in rows if row["held_back"] is held_back]
        print(
            f"\n{len({row['name'] for row in part})} photographs of the {'test' if held_back else 'training'} parts\n"
        )
        table(part, doubts_of_photographs())
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    print(f"\n{np.median(seconds):.3f} s each beside what finds the vessels")


def table(rows: Sequence[Row], doubts: Any) -> None:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        graded = grade_of(row["figures"], doubts) if "figures" in row else None
        word = graded.word if graded else "refused"
        counts[row["way"], row["degree"]][word] += 1
        if row["degree"] == "strong" and graded:
            words[row["way"]].update(graded.reasons[:1])
        withheld = word in ("reject", "refused")
        if (withheld and row["degree"] in ("", "weak")) or (row["degree"] == "strong" and not withheld):
            print(f"  {row['name']} {row['way']} {row['degree']}: {graded.sentence if graded else row['refused']}")
    print("| | degree | good | usable | reject | refused | first reason |\n|---|---|---|---|---|---|---|")
    for (way, degree), found in counts.items():
        cells = [str(found[word]) for word in ("good", "usable", "reject", "refused")]
        reasons = ", ".join(f"{word} {n}" for word, n in words[way].most_common(2)) if degree == "strong" else ""
        print(f"| {way} | {degree} | {' | '.join(cells)} | {reasons} |")
    for name, degrees in (("good", ("",)), ("weak", ("weak",)), ("middle", ("middle",)), ("strong", ("strong",))):
        found = sum((counts[key] for key in counts if key[1] in degrees), Counter())
        taken = sum(found.values())
        print(f"{name}: {found['reject'] + found['refused']} of {taken} rejected or refused "
              f"({(found['reject'] + found['refused']) / max(1, taken):.1%}), {found['usable']} usable")  # fmt: skip


if __name__ == "__main__":
    main()
