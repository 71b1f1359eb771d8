"""Re-calibrates a model on a site's own labeled cases, without training."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.api.arguments import checked
from gracile.api.quality import relearn_quality
from gracile.bundle import Bundle, bundle_folder, read_bundle
from gracile.data import CaseFiles, find_cases, image_checksum, labeled, select
from gracile.errors import BundleError, DataError, UsageError
from gracile.evaluation import gate_savings
from gracile.inference.changed_bundle import Change, Numbers, copy_changed, require_apart
from gracile.inference.gate_answers import GateAnswers, Progress, answer_gates
from gracile.io.atomic import require_writable, require_writable_file
from gracile.io.model_card import CALIBRATED_ON, GATE_PROMISES, GATE_SCORES, LEARNED_FROM
from gracile.names import VERSION
from gracile.pages.gate_calibration import PAGE, CalibratedGate, write_calibration_page
from gracile.recipe import GateSpec
from gracile.trust import GateScores, Wish, calibrated, calibrated_on_clips
from gracile.trust.quality_card import QualityEntry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibrated:
    """What a calibration gave.

    Args:
        bundle: Folder of the new bundle.
        page: The page of its gates; None of a model without one.
        gates: Each of its gates.
        quality: How good its answers are predicted to be, where that was learned.
    """

    bundle: Path
    page: Path | None
    gates: list[CalibratedGate]
    quality: QualityEntry | None = None


@checked
def calibrate(
    model: str | Path,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    recall: float | None = None,
    form: Literal["average", "confidence"] | None = None,
    confidence: float | None = None,
    join: bool = False,
    clips: bool = False,
    quality: bool = False,
    page: str | Path | None = None,
    cases: str = "",
    exclude: str = "",
    device: str = "auto",
    progress: Progress | None = None,
) -> Calibrated:
    """Choose the temperatures and thresholds of a model's gates anew, on people of one's own; nothing is trained.

    Of a model without a gate, and of one with, it can also be learned anew how good its answers are predicted to be.

    Args:
        model: A shipped model's name or a bundle folder.
        data: One or several data folders or CSV files of labeled frames, with a subject for each.
        out: Folder of the new bundle: the model with other thresholds, and what they are good for in its card.
        recall: Share of the frames with the structures that shall pass, above 0 and at most 1; None: the recipe's.
        form: ``average`` or ``confidence``, see `gracile.trust.promise`; likewise.
        confidence: Of the form ``confidence``, above 0 and below 1; likewise.
        join: Also go by the scores that the model was calibrated on.
        clips: The cases of a person are frames of a clip, evenly spaced: what the gate buys is told by the minute.
        quality: Also learn from the cases with a mask or points how good answers are.
        page: The HTML file of the gates; ``calibration.html`` beside the new bundle when None.
        cases: Comma-separated ids or file stems to take; empty takes all.
        exclude: Those to leave out.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Told after each case.

    Raises:
        BundleError: The model cannot be read, or keeps no scores to join.
        DataError: No case is left, or none shows the structures; or, without a gate, too few tell how good answers are.
        UsageError: The model has no gate and `quality` is not asked for, or a number makes no sense.
    """
    source, target = bundle_folder(str(model)), Path(out)
    path = target.resolve().parent / PAGE if page is None else Path(page)
    require_apart(source, target)
    require_writable(target, "bundle.json")
    bundle = read_bundle(source)
    if bundle.recipe.gates:
        require_writable_file(path)
    elif not quality:
        why = f": {bundle.recipe.ungated}" if bundle.recipe.ungated else ""
        raise UsageError(
            f"{model} has no gate to calibrate{why}.",
            "Name a model that looks first, or learn how good its answers are: --quality.",
        )
    wishes = {gate.name: _wish(gate, recall, form, confidence) for gate in bundle.recipe.gates}
    kept = {gate.name: _kept(bundle, gate) if join else [] for gate in bundle.recipe.gates}
    found = labeled(select(find_cases(data, bundle.recipe), include=cases, exclude=exclude))
    chosen, images = _unseen(found, bundle, join=join)
    said = answer_gates(bundle, chosen, device, progress) if wishes else {}
    gates = [_calibrated(said[name], kept[name], wish, name, clips=clips) for name, wish in wishes.items()]
    _require_shown(bundle, gates)
    told = _told(chosen, images, join=join)
    _write(source, target, bundle, gates, {"calibration": told, CALIBRATED_ON: _calibrated_on(bundle, images, join)})
    learned = _learn_quality(target, chosen, device, progress, needed=not gates) if quality else None
    if not gates:
        return Calibrated(target, None, [], learned)
    settings = {"model": str(model), **told, "wishes": {name: vars(wish) for name, wish in wishes.items()}}
    write_calibration_page(path, Path(model).name, gates, settings, [learned.sentence] if learned else [])
    return Calibrated(target, path, gates, learned)


def _learn_quality(
    folder: Path, cases: Sequence[CaseFiles], device: str, progress: Progress | None, *, needed: bool
) -> QualityEntry | None:
    """Write into a new bundle how good its answers are; where that cannot be learned, it stays as it was."""
    try:
        return relearn_quality(folder, cases, device, progress)
    except DataError as error:
        if needed:
            (folder / "bundle.json").unlink()
            raise
        log.warning("How good answers are predicted to be stays as it was. %s", error)
        return None


def _told(cases: Sequence[CaseFiles], images: Sequence[str], *, join: bool) -> dict[str, Any]:
    """When, by what and on how many people, for the card."""
    return {
        "on": date.today().isoformat(), "by": f"gracile {VERSION}", "cases": len(images),
        "people": len({files.subject for files in cases}), "the model's own scores": "joined" if join else "not used",
        "sha256": sha256(" ".join(sorted(images)).encode()).hexdigest(),
        "metrics": "those of this card are of the thresholds before",
    }  # fmt: skip


def _require_shown(bundle: Bundle, gates: Sequence[CalibratedGate]) -> None:
    """Raise DataError where no gate has a frame to choose a threshold by."""
    if gates and all(gate.calibration.promise is None for gate in gates):
        shown = ", ".join(gate.label for gate in bundle.recipe.gates)
        raise DataError(
            f"No frame shows {shown}, and a threshold is chosen on frames that do.", "Add clips of people that show it."
        )


def _wish(gate: GateSpec, recall: float | None, form: Any, confidence: float | None) -> Wish:
    """What is asked for; what is not is as the recipe says."""
    wish = Wish(
        gate.recall if recall is None else recall, form or gate.promise,
        gate.confidence if confidence is None else confidence,
    )  # fmt: skip
    if not 0 < wish.recall <= 1:
        raise UsageError(f"A recall of {wish.recall:g} makes no sense.", "It is above 0 and at most 1, such as 0.95.")
    if not 0 < wish.confidence < 1:
        raise UsageError(
            f"A confidence of {wish.confidence:g} makes no sense.", "It lies between 0 and 1, such as 0.95."
        )
    return wish


def _unseen(found: Sequence[CaseFiles], bundle: Bundle, *, join: bool) -> tuple[list[CaseFiles], list[str]]:
    """The cases that the model has not seen, and the checksums of their images."""
    learned = set(bundle.card.get(LEARNED_FROM, ()))
    if not learned:
        log.warning("The model's card does not name the images that it was trained on: take people it has not seen.")
    joined = set(bundle.card.get(CALIBRATED_ON, ())) if join else set()
    sums = [image_checksum(files.image, bundle.recipe.input.kind, files.channels) for files in found]
    for seen, why in ((learned, "the model was trained on them"), (joined, "their scores are kept in the model")):
        count = sum(one in seen for one in sums)
        if count:
            log.warning("%d of %d cases are left out: %s.", count, len(found), why)
    left = [(files, one) for files, one in zip(found, sums, strict=True) if one not in learned | joined]
    if not left:
        raise DataError(
            "There is no labeled case that the model has not seen." if found else "None of the cases has a label.",
            "Name clips of other people, with a mask or a class for each frame.",
        )
    return [files for files, _ in left], [one for _, one in left]


def _kept(bundle: Bundle, gate: GateSpec) -> list[GateScores]:
    """The scores that a bundle keeps of a gate, of each member that has it. Raises BundleError."""
    parts = [part for part in bundle.parts if gate.name in part.weights]
    rows = [part.card.get(GATE_SCORES, {}).get(gate.name) for part in parts]
    if not all(rows):
        raise BundleError(f"The model keeps no scores of the gate {gate.name!r}.", "Leave --join out.")
    kept = [GateScores.from_card(row, gate.kinds) for row in rows]
    first = kept[0]
    if any(other.subjects.tolist() != first.subjects.tolist() or other.targets.tolist() != first.targets.tolist()
           for other in kept[1:]):  # fmt: skip
        raise BundleError(
            f"Each member of the ensemble keeps scores of the gate {gate.name!r} for other people.",
            "Leave --join out, or take one of its members.",
        )
    return [replace(part, subjects=np.array([f"of the model {one}" for one in part.subjects])) for part in kept]


def _calibrated(
    answers: GateAnswers, kept: Sequence[GateScores], wish: Wish, name: str, *, clips: bool
) -> CalibratedGate:  # fmt: skip
    scores = answers.scores
    if kept:
        scores = [GateScores.joined(pair) for pair in zip(kept, scores, strict=True)]
    if not scores[0].frames:
        raise DataError(f"No case says what the gate {name!r} is asked.", "Give each frame a mask or a class.")
    chosen = calibrated(answers.gate, scores, wish)
    on_clips = calibrated_on_clips(answers.gate[0], chosen, wish)
    if on_clips is None and answers.gate[0].spec.memory != "none":
        chosen.notes.append(
            "no clip of several frames with times is among the cases: what the gate remembers on clips, and its "
            "threshold there, stay as they were"
        )
    frames = answers.frames(chosen, on_clips)
    savings = None if frames is None else gate_savings(frames, clips=clips or answers.timed)
    return CalibratedGate(name, chosen, savings, on_clips)


def _calibrated_on(bundle: Bundle, images: Sequence[str], join: bool) -> list[str]:
    return sorted({*images, *(bundle.card.get(CALIBRATED_ON, ()) if join else ())})


def _write(
    source: Path, out: Path, bundle: Bundle, gates: Sequence[CalibratedGate], told: Mapping[str, Any]
) -> None:  # fmt: skip
    """The bundle with the chosen numbers; what each member of an ensemble said stands in its own card."""
    promises = {gate.name: gate.as_card() for gate in gates}
    whole = Change({}, _settings(gates), {**told, **({GATE_PROMISES: promises} if promises else {})})
    parts, place = [], dict.fromkeys((gate.name for gate in gates), 0)
    for part in bundle.parts:
        own = [gate for gate in gates if gate.name in part.weights]
        parts.append(_part(part, own, [place[gate.name] for gate in own]))
        place |= {gate.name: place[gate.name] + 1 for gate in own}
    if bundle.members:
        copy_changed(source, out, whole, parts)
    else:
        copy_changed(source, out, replace(whole, numbers=parts[0].numbers, card={**whole.card, **parts[0].card}))


def _settings(gates: Sequence[CalibratedGate]) -> dict[str, Any]:
    """What gates were asked for, as settings of the recipe."""
    keys = ("recall", "promise", "confidence")
    return {
        f"stages.{gate.name}.{key}": value
        for gate in gates
        for key, value in zip(keys, astuple(gate.calibration.wish), strict=True)
    }


def _part(part: Bundle, gates: Sequence[CalibratedGate], places: Sequence[int]) -> Change:
    """What changes in the bundle that has the weights: gates' numbers, their scores, and their figures.

    Args:
        part: The bundle, or a member of it.
        gates: Those that it has.
        places: Which of each gate's members it is.
    """
    kinds = {gate.name: gate.kinds for gate in part.recipe.gates}
    numbers: dict[str, Numbers] = {}
    scores, figures = {}, dict(part.card.get("validation", {}))
    for gate, place in zip(gates, places, strict=True):
        chosen = gate.calibration
        numbers[gate.name] = {"temperature": chosen.temperatures[place], "threshold": chosen.threshold}
        if gate.on_clips is not None and "memory" in part.weights[gate.name]:
            remembered: dict[str, float | np.ndarray] = {
                "memory": gate.on_clips.numbers,
                "memory_threshold": gate.on_clips.threshold(chosen),
            }
            numbers[gate.name] = {**numbers[gate.name], **remembered}
        scores[gate.name] = chosen.scores[place].as_card(kinds[gate.name])
        rounded = {name: round(value, 4) for name, value in chosen.figures.items()}
        figures[gate.name] = {**figures.get(gate.name, {}), **rounded, "temperature": chosen.temperatures[place]}
    return Change(numbers, _settings(gates), {"validation": figures, GATE_SCORES: scores} if gates else {})
