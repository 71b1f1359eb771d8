"""The brachial plexus in real ultrasound video: gate, place and whole clips, on people that were held back.

    python benchmarks/brachial_plexus.py DATA --out runs/plexus --minutes 20
    python benchmarks/brachial_plexus.py DATA --out runs/plexus --scores
    python benchmarks/brachial_plexus.py DATA --out runs/plexus --minutes 40 --final

DATA is the folder of the real data. A model is trained without each fold of people of ``splits.json``, in as many
minutes, and answers theirs; ``fold1/answers.json`` and so on keep what it said, ``scores.json`` all figures. What was
trained or answered is not done again, and a training that was broken off goes on, when the command is given again.
``--scores`` only scores what is there. A fold's gate is calibrated by what the other folds' gates said of their people:
temperature, memory and threshold; where a single fold was answered, by its own. ``--final`` trains one more model on
all people, calibrates it by what the folds' gates said of all of them, and writes ``final/calibrated``, for
``benchmarks/ship.py``.
"""

import argparse
import csv
import json
import logging
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from brachial_plexus_clips import clip_figures
from brachial_plexus_scores import all_figures, shown

import gracile
from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.data import CaseFiles, find_cases, near_duplicates, read_case
from gracile.io import write_json
from gracile.learning.graphs import write_graphs
from gracile.learning.learners import Learner, build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from gracile.stages.gate import GateStage
from gracile.transforms import prepare
from gracile.trust import GateScores

RECIPE, SOURCE = "brachial-plexus", "nerve-ultrasound/brachial-plexus-video"
FIXED = ["train.validation=0", "stages.presence.crossfit=0"]
"""Nothing is held back, and the folds' gates calibrate each other: no gate is trained again for that."""

LICENCE = (
    "Research use only, non-commercial: learned from clips of Tyagi et al. (abhi25t/nerve_segmentation), whose "
    "repository states no licence and whose sister repository says non-commercial. The program is Apache-2.0."
)
LIMITS = [
    "Learned from clips of 100 people, one clip each, of one hospital's machine, cut to the scan, gray.",
    "The truth is boxes around the trunks, most of them by a tracker between frames made by hand: what is painted is "
    "a place, not the outline of a nerve.",
]


@dataclass(frozen=True)
class Fold:
    """One fold: its number from 1, its folder, the people held back and the others."""

    number: int
    out: Path
    held_back: list[CaseFiles]
    settings: list[str] = field(default_factory=list)

    @property
    def answers(self) -> Path:
        return self.out / "answers.json"


def main() -> None:
    arguments = parse()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    source = arguments.data / SOURCE
    cases = find_cases(source, read_recipe(RECIPE))
    folds = folds_of(arguments, cases)
    for fold in folds:
        if not arguments.scores and (not arguments.only or fold.number in arguments.only):
            learn(fold, source, arguments.minutes)
            if not fold.answers.is_file():
                write_json(fold.answers, answered(fold, boxes_of(source)))
    done = [fold for fold in folds if fold.answers.is_file()]
    rows = [{**row, "fold": fold.number} for fold in done for row in json.loads(fold.answers.read_text())]
    if not rows:
        raise SystemExit("No fold was answered.")
    gate = stage_of(read_bundle(done[0].out / "bundle"))
    figures = all_figures(rows, gate, twins_over_folds(cases, folds, arguments.out))
    figures["clips"] = {
        name: clip_figures(calibrated_pipelines(done, rows, fold), source / "clips", name, arguments.out / "clips")
        for name in ("5058", "8903") for fold in done if any(files.subject == name for files in fold.held_back)
    }  # fmt: skip
    write_json(arguments.out / "scores.json", figures)
    print(shown(figures))
    if arguments.final:
        print(final(arguments, source, rows, figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20, help="of each training, gate and place together")
    parser.add_argument("--folds", type=int, nargs="*", dest="only", help="only these are trained, from 1")
    parser.add_argument("--scores", action="store_true", help="only score what is there")
    parser.add_argument("--final", action="store_true", help="train one more model on all people")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    return parser.parse_args()


def folds_of(arguments: argparse.Namespace, cases: list[CaseFiles]) -> list[Fold]:
    people = json.loads((arguments.data / "splits.json").read_text())[SOURCE]["folds"]
    return [
        Fold(number, arguments.out / f"fold{number}", [files for files in cases if files.subject in held],
             arguments.settings)
        for number, held in enumerate(people, start=1)
    ]  # fmt: skip


def learn(fold: Fold, source: Path, minutes: float) -> None:
    """Train without a fold's people, or go on with that, or leave it as it is."""
    left_out = fold.out / "held-back.txt"
    if (fold.out / "bundle" / "bundle.json").is_file():
        return
    fold.out.mkdir(parents=True, exist_ok=True)
    left_out.write_text("\n".join(files.id for files in fold.held_back))
    train(fold.out, source, minutes, fold.settings, str(left_out) if fold.held_back else "")


def train(out: Path, source: Path, minutes: float, settings: list[str], exclude: str) -> None:
    resume = (out / "recipe.yaml").is_file()
    print(f"Training {out.name} ...", flush=True)
    gracile.train(
        RECIPE, source, out, settings=[] if resume else [*FIXED, *settings], exclude=exclude, resume=resume,
        minutes=0 if resume else minutes,
    )  # fmt: skip
    shutil.rmtree(out / "cache", ignore_errors=True)


def boxes_of(source: Path) -> dict[str, list[list[float]]]:
    """The boxes ``(x, y, width, height)`` of each frame by its name."""
    with (source / "labels.csv").open(encoding="utf-8") as file:
        return {row["name"]: json.loads(row["boxes"]) for row in csv.DictReader(file)}


def stage_of(bundle: Bundle) -> GateStage:
    return next(stage for stage in Pipeline.from_bundle(bundle).stages if isinstance(stage, GateStage))


def answered(fold: Fold, boxes: dict[str, list[list[float]]]) -> list[dict[str, Any]]:
    """What a fold's model says of each frame of its held-back people: the gate's logits, and the place, ungated."""
    gate = stage_of(read_bundle(fold.out / "bundle"))
    place = Pipeline.from_bundle(read_bundle(fold.out / "bundle", ["stages.presence.enabled=false"]))
    rows = []
    for files in fold.held_back:
        case = read_case(files, place.recipe)
        assert case.truth is not None
        assert files.moment is not None
        truth = case.truth == 1
        mask = place(replace(case, truth=None)).mask == 1
        both = int(mask.sum() + truth.sum())
        parts = [mask[_span(y, height), _span(x, width)] for x, y, width, height in boxes[files.id]]
        rows.append({
            "name": files.id, "subject": files.subject, "time_s": files.moment.time_s, "source": files.moment.source,
            "present": files.frame_class == "1",
            "logits": [round(float(value), 5) for value in gate.logits(prepare(case, place.recipe)[0])],
            "painted": int(mask.sum()), "dice": 2.0 * float((mask & truth).sum()) / both if both else 1.0,
            "boxes": len(parts), "touched": sum(bool(part.any()) for part in parts),
        })  # fmt: skip
    return rows


def _span(start: float, length: float) -> slice:
    return slice(max(0, round(start)), max(1, round(start + length)))


def scores_of(rows: list[dict[str, Any]]) -> GateScores:
    """What gates said of frames, as they are calibrated by it."""
    subjects = np.array([row["subject"] for row in rows])
    return GateScores(
        subjects, np.array([int(row["present"]) for row in rows]), np.array([row["logits"] for row in rows]),
        subjects, np.array([row["time_s"] for row in rows]),
    )  # fmt: skip


def calibrated(bundle: Bundle, scores: GateScores) -> tuple[Bundle, list[Learner], dict[str, Any]]:
    """A bundle whose gate is calibrated by scores, its stages as they learn, and what that told."""
    learners = [build_learner(spec, bundle.recipe) for spec in bundle.recipe.stages]
    for learner in learners:
        learner.load_bundle_state(bundle.weights[learner.name])
    figures = learners[0].calibrate_by([scores])
    weights = {**bundle.weights, learners[0].name: learners[0].bundle_state()}
    return bundle.model_copy(update={"weights": weights}), learners, figures


def calibrated_pipelines(folds: list[Fold], rows: list[dict[str, Any]], own: Fold) -> dict[str, Pipeline]:
    """A fold's model, its gate calibrated by the other folds' people: as it is, without memory, without its gate."""
    others = scores_of([row for row in rows if row["fold"] != own.number] or rows)  # a single fold by itself
    ways = {"gated, with memory": [], "gated": ["stages.presence.memory=none"],
            "ungated": ["stages.presence.enabled=false"]}  # fmt: skip
    bundle, _, _ = calibrated(read_bundle(own.out / "bundle"), others)
    return {
        name: Pipeline.from_bundle(bundle.model_copy(update={"recipe": _set(bundle, settings)}))
        for name, settings in ways.items()
    }


def _set(bundle: Bundle, settings: list[str]) -> Any:
    from gracile.recipe import recipe_from

    return recipe_from(bundle.recipe.model_dump(mode="json"), settings)


def twins_over_folds(cases: list[CaseFiles], folds: list[Fold], out: Path) -> list[dict[str, Any]]:
    """Pairs of people who look like one person, and whether they are in two folds; found once, then read."""
    kept = out / "alike-people.json"
    if not kept.is_file():
        best: dict[tuple[str, str], float] = {}
        for pair in near_duplicates(cases, read_recipe(RECIPE)):
            people = sorted((pair.first.subject, pair.second.subject))
            if pair.parts_subjects:
                best[people[0], people[1]] = max(pair.likeness, best.get((people[0], people[1]), 0.0))
        write_json(kept, [{"people": list(people), "likeness": likeness} for people, likeness in best.items()])
    fold_of = {files.subject: fold.number for fold in folds for files in fold.held_back}
    pairs = json.loads(kept.read_text())
    return [{**pair, "apart": len({fold_of[person] for person in pair["people"]}) > 1} for pair in pairs]


def final(arguments: argparse.Namespace, source: Path, rows: list[dict[str, Any]], figures: dict[str, Any]) -> Path:
    """The model of all people, its gate calibrated by what the folds' gates said of all of them."""
    everyone = Fold(0, arguments.out / "final", [], arguments.settings)
    learn(everyone, source, arguments.minutes)
    bundle, learners, chosen = calibrated(read_bundle(everyone.out / "bundle"), scores_of(rows))
    card = bundle.card
    for section, content in learners[0].told().items():
        card.setdefault(section, {})[learners[0].name] = content
    card["validation"][learners[0].name] |= {name: round(value, 4) for name, value in chosen.items()}
    card["licence"] = LICENCE
    card["limits"] += [*LIMITS, "Nothing was held back: its figures are those of the five folds, by people, of "
                       "benchmarks/brachial_plexus.py, in the same minutes; they also calibrate its gate."]  # fmt: skip
    card["metrics"] = figures["card"]
    folder = write_bundle(bundle, arguments.out / "final" / "calibrated")
    write_graphs([learner.eval() for learner in learners], folder)
    return folder


if __name__ == "__main__":
    main()
