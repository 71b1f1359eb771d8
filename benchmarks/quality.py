"""Predicted quality: how well signs of an answer tell how good it is, on cases that the model has not seen.

    python benchmarks/quality.py DATA --out runs/quality
    python benchmarks/quality.py DATA --out runs/quality --sets usgra --seconds 200
    python benchmarks/quality.py DATA --out runs/quality --sets brachial-plexus --plexus runs/plexus
    python benchmarks/quality.py DATA --out runs/quality --time
    python benchmarks/quality.py DATA --out runs/quality --ship

Answers are those of the trained bundles in `benchmarks/results` to cases that they were not trained on
(`quality_sets.py`); their signs and scores lie in ``OUT/signs``, one file each, and are not made again. ``--seconds``
ends the making after so long; the same command goes on. From what is there it writes ``OUT/quality.json`` and prints,
for each set:

- *order*: the normalized area under the risk-coverage curve, risk being one less the Dice (or the error in mm):
  (AURC - best)/(random - best), AURC the mean over k of the mean risk of the k most trusted cases; 0 is the best
  possible order, 1 a random one. Every case is predicted by a map that learned from the other subjects (ten folds of
  subjects, or one for each where there are fewer). An answer whose quality cannot be told counts as the least trusted.
- *error*: mean difference of predicted and true score, beside that of the median of all.
- *held*: the share of scores in their intervals, and of cases of which 95 % of the true outline lies in the band, over
  50 random calibrations: the map, the interval and the band learn from one random half of the subjects and are tried on
  the other; mean and deviation.
- *alone*: the order by single signs.

``--time`` measures what signs and prediction add to an answer. ``--ship`` learns from all answers of a set and writes
it into the card of the shipped model; weights stay.
"""

import argparse
import json
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from quality_sets import SETS, SHIPPED, Answered, answered_of

from gracile.api.quality import quality_card, score_of
from gracile.bundle import read_bundle, write_card
from gracile.data import read_case
from gracile.errors import DataError
from gracile.inference.answering import flag
from gracile.inference.held_answers import held_answer
from gracile.io import read_case_file
from gracile.io.model_card import QUALITY
from gracile.measure import measure
from gracile.names import models_folder
from gracile.pipeline import Pipeline
from gracile.runners import Computing
from gracile.trust import HeldAnswer, QualityMap, learn_quality
from gracile.trust.quality import Told, tell
from gracile.trust.quality_card import badness
from gracile.trust.quality_fit import folds_of
from gracile.trust.risk import normalized_aurc
from gracile.trust.signs import SignedAnswer, Unit

CALIBRATIONS = 50
ONE_THREAD = Computing(threads=1)
ALONE = ("confidence", "doubt", "agreement", "inside", "outside", "width", "edge", "share")


def main() -> None:
    arguments = parse()
    made = []
    for name in arguments.sets:
        jobs = answered_of(name, arguments.data, arguments.out, arguments.plexus)
        left = answer(jobs, arguments.out / "signs" / name, arguments.seconds)
        if left or not jobs:
            print(f"{name}: {left} answers are left to be made" if left else f"{name}: no bundles", flush=True)
            continue
        held = [read_held(arguments.out / "signs" / name / f"{job.key}.json") for job in jobs]
        scored = [one for one in held if one.score is not None]
        if arguments.time:
            print(f"{name}: {timed(name, jobs, scored, arguments.rounds)}", flush=True)
            continue
        score = "mm" if name == "skull" else "dice"
        figures = {"set": name, **figures_of(scored, score)}
        print(shown(figures), flush=True)
        made.append(figures)
        if arguments.ship and name in SHIPPED:
            ship(models_folder() / SHIPPED[name], held)
    if made:
        known = {}
        path = arguments.out / "quality.json"
        if path.is_file():
            known = {one["set"]: one for one in json.loads(path.read_text())}
        known |= {one["set"]: one for one in made}
        path.write_text(json.dumps(list(known.values()), indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seconds", type=float, default=1e9, help="after which no further answer is made")
    parser.add_argument("--plexus", type=Path, help="folder of the folds of benchmarks/brachial_plexus.py")
    parser.add_argument("--time", action="store_true", help="measure what it adds to an answer")
    parser.add_argument("--rounds", type=int, default=15, help="with --time")
    parser.add_argument("--ship", action="store_true", help="write what was learned into the shipped models' cards")
    return parser.parse_args()


def answer(jobs: list[Answered], out: Path, seconds: float) -> int:
    """Make the answers that are missing, for so long; gives how many are left."""
    out.mkdir(parents=True, exist_ok=True)
    begun, left = time.monotonic(), 0
    pipeline, loaded = None, None
    for job in jobs:
        path = out / f"{job.key}.json"
        if path.is_file():
            continue
        if time.monotonic() - begun > seconds:
            left += 1
            continue
        if pipeline is None or loaded != job.bundle:
            pipeline, loaded = Pipeline.from_bundle(read_bundle(job.bundle)), job.bundle
        case = read_case(job.files, pipeline.recipe)
        result = pipeline(replace(case, truth=None, points={}), signed=True)
        flag(pipeline, case, result, predicted=False)
        held = held_answer(pipeline, case, result, job.files.subject)
        assert held is not None
        content = json.dumps(asdict(replace(held, case=job.key)))
        path.with_suffix(".part").write_text(content)
        path.with_suffix(".part").rename(path)
    return left


def read_held(path: Path) -> HeldAnswer:
    content = json.loads(path.read_text())
    answered = content.pop("answer")
    units = [Unit(**unit) for unit in answered.pop("units")]
    return HeldAnswer(**content, answer=SignedAnswer(units, **answered))


def figures_of(held: list[HeldAnswer], score: str) -> dict[str, Any]:
    """Order, error and coverage of a set."""
    try:
        told = cross_told(held, score)
    except DataError as error:
        return {"cases": len(held), "subjects": len({one.subject for one in held}), "refused": str(error)}
    true = np.array([one.score for one in held])
    known = np.array([one is not None for one in told])
    values = np.array([one.predicted if one is not None else np.nan for one in told])
    better = -values if score == "mm" else values
    trust = np.where(known, better, np.nanmin(better) - 1)
    risks = np.array([badness(score, value) for value in true])
    errors = np.abs(values[known] - true[known])
    inside = [t.low - 1e-9 <= s <= t.high + 1e-9 for t, s in zip(told, true, strict=True) if t is not None]
    return {
        "cases": len(held),
        "subjects": len({one.subject for one in held}),
        "score": {"mean": float(true.mean()), "deviation": float(true.std())},
        "untold": int((~known).sum()),
        "order": normalized_aurc(trust, risks),
        "error": float(errors.mean()),
        "error_of_the_median": float(np.abs(true - np.median(true)).mean()),
        "held_by_fold": float(np.mean(inside)),
        "width": float(np.mean([t.high - t.low for t in told if t is not None])),
        "alone": alone(held, risks),
        "calibrations": calibrations(held, score),
        "units": units_of(held, told, score),
        **learned(held, score),
    }


def cross_told(held: list[HeldAnswer], score: str) -> list[Told | None]:
    """What is told of each answer by what was learned from other subjects."""
    told: list[Told | None] = [None] * len(held)
    for fold in folds_of(np.array([one.subject for one in held])):
        entry = learn_quality([one for one, out in zip(held, fold, strict=True) if not out], score)
        for index in np.flatnonzero(fold):
            said = tell(entry, held[index].answer)
            told[index] = None if isinstance(said, str) else said
    return told


def units_of(held: list[HeldAnswer], told: list[Told | None], score: str) -> dict[str, Any]:
    """Order and error of structures, landmarks or slices by themselves."""
    pairs = [
        (judged.value, value)
        for one, said in zip(held, told, strict=True) if said is not None
        for judged, value in zip(said.judged, one.scores, strict=True)
    ]  # fmt: skip
    values, true = np.array(pairs).T
    risks = [badness(score, value) for value in true]
    return {
        "count": len(pairs),
        "order": normalized_aurc(-values if score == "mm" else values, risks),
        "error": float(np.abs(values - true).mean()),
        "error_of_the_median": float(np.abs(true - np.median(true)).mean()),
    }


def alone(held: list[HeldAnswer], risks: np.ndarray) -> dict[str, float | None]:
    """The order by single signs, means over what was found; what found nothing comes last."""
    found = {}
    for name in ALONE:
        some = [[unit.signs[name] for unit in one.answer.units if name in unit.signs] for one in held]
        means = np.array([np.mean(values) if values else np.nan for values in some])
        if np.isfinite(means).mean() < 0.5:
            continue
        known = np.isfinite(means)
        turn = np.sign(-np.corrcoef(means[known], risks[known])[0, 1]) or 1.0
        found[name] = normalized_aurc(np.where(known, turn * means, np.nanmin(turn * means) - 1), risks)
    return found


def calibrations(held: list[HeldAnswer], score: str) -> dict[str, Any]:
    """Shares that intervals and bands hold, learned from random halves of the subjects and tried on the others."""
    subjects = sorted({one.subject for one in held})
    rows = []
    by = Counter()
    for seed in range(CALIBRATIONS):
        half = set(np.random.default_rng(seed).permutation(subjects)[: (len(subjects) + 1) // 2])
        try:
            entry = learn_quality([one for one in held if one.subject in half], score)
        except DataError:
            continue
        by[entry.map.interval.by] += 1
        some = [(tell(entry, one.answer), one) for one in held if one.subject not in half]
        told = [(said, one) for said, one in some if not isinstance(said, str)]
        inside = [said.low - 1e-9 <= one.score <= said.high + 1e-9 for said, one in told]
        errors = [abs(said.predicted - one.score) for said, one in told]
        trust = [-said.predicted if score == "mm" else said.predicted for said, _ in told]
        order = normalized_aurc(trust, [badness(score, one.score) for _, one in told])
        band = np.nan
        if entry.band is not None:
            reached = [entry.band.width.at(badness("dice", said.predicted)) >= one.margin
                       for said, one in told if one.margin is not None and said.judged]  # fmt: skip
            band = float(np.mean(reached))
        rows.append((float(np.mean(inside)), band, float(np.mean(errors)), np.nan if order is None else order))
    if not rows:
        return {"count": 0}
    table = np.array(rows)
    names = ("interval", "band", "error", "order")
    return {"count": len(rows), "by": dict(by)} | {
        name: {"mean": float(np.nanmean(table[:, k])), "deviation": float(np.nanstd(table[:, k]))}
        for k, name in enumerate(names) if np.isfinite(table[:, k]).any()
    }  # fmt: skip


def learned(held: list[HeldAnswer], score: str) -> dict[str, Any]:
    """What is learned from all of them: the signs with a weight, and the band."""
    entry = learn_quality(held, score)
    found = {"link": entry.map.link, "signs": {k: s.weight for k, s in entry.map.signs.items() if s.weight}}
    if entry.band is not None:
        widths = [entry.band.width.at(badness("dice", one.score)) for one in held]
        found["band"] = {"unit": entry.band.unit, "usual": float(np.median(widths))}
    if entry.area is not None:
        found["area_signs"] = {k: s.weight for k, s in entry.area.signs.items() if s.weight}
        found["area_error"] = float(np.mean([np.average(one.areas, weights=[u.weight for u in one.answer.units])
                                             for one in held if one.areas]))  # fmt: skip
    return found


def timed(name: str, jobs: list[Answered], held: list[HeldAnswer], rounds: int) -> str:
    """Seconds of whole answers of the shipped model, measures included, with signs and prediction and without.

    Both ways take turns case by case, on one thread; median and middle half of the ratios. They are the processor's
    seconds, in which other work on the machine hardly counts.
    """
    folder = models_folder() / SHIPPED[name] if name in SHIPPED else jobs[0].bundle
    pipeline = Pipeline.from_bundle(read_bundle(folder), ONE_THREAD)
    pipeline.quality = QualityMap(learn_quality(held, score_of(pipeline.recipe)))
    some = [job.files for job in jobs[:: max(1, len(jobs) // 8)][:8]]
    cases = [read_case_file(files.image, files.id, pipeline.recipe.input) for files in some]
    spent: dict[bool, list[float]] = {True: [], False: []}
    for round_ in range(rounds + 1):
        for case in cases:
            for signed in (True, False) if round_ % 2 else (False, True):
                start = time.process_time()
                result = pipeline(case, signed=signed)
                measure(case, result, pipeline.recipe, {})
                flag(pipeline, case, result, predicted=signed)
                if round_:  # the first one warms up
                    spent[signed].append(time.process_time() - start)
    with_, without = np.array(spent[True]), np.array(spent[False])
    low, middle, high = np.percentile(100 * (with_ / without - 1), (25, 50, 75))
    more = f"{middle:+.1f} % ({low:+.1f} to {high:+.1f} %)"
    return f"{1000 * np.median(without):.1f} ms; with signs and prediction {more}"


def ship(folder: Path, held: list[HeldAnswer]) -> None:
    bundle = read_bundle(folder)
    write_card(folder, {**bundle.card, QUALITY: quality_card(held, bundle.recipe)})
    print(f"Written: {folder}")


def shown(figures: dict[str, Any]) -> str:
    if "refused" in figures:
        return f"{figures['set']}: {figures['cases']} cases of {figures['subjects']} subjects: {figures['refused']}"
    calibrated = figures["calibrations"]
    held = ", ".join(
        f"{name} {calibrated[name]['mean']:.3f} ± {calibrated[name]['deviation']:.3f}"
        for name in ("interval", "band", "order", "error") if name in calibrated
    )  # fmt: skip
    alone_ = ", ".join(f"{name} {value:.3f}" for name, value in figures["alone"].items() if value is not None)
    return (
        f"{figures['set']}: {figures['cases']} cases of {figures['subjects']} subjects, score "
        f"{figures['score']['mean']:.3f} ± {figures['score']['deviation']:.3f}; order {figures['order']:.3f}, error "
        f"{figures['error']:.3f} (median {figures['error_of_the_median']:.3f}), held {figures['held_by_fold']:.3f} of "
        f"width {figures['width']:.3f}, untold {figures['untold']}\n"
        f"    {calibrated['count']} calibrations: {held}\n"
        f"    units {figures['units']}\n    alone: {alone_}\n    learned: {figures['link']} {figures['signs']} "
        f"{figures.get('band', '')} {figures.get('area_signs', '')} {figures.get('area_error', '')}"
    )


if __name__ == "__main__":
    main()
