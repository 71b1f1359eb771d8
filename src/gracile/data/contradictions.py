"""Frames of clips whose label contradicts those of the frames before and after."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gracile.case import IGNORED, Moment
from gracile.data.case_files import CaseFiles
from gracile.io import read_labels
from gracile.recipe import Recipe
from gracile.recipe.stages import NO, YES

NEAR_S = 0.5
"""Seconds within which a frame before and one after speak for the one between them: later the probe may have moved."""

MEET = 0.3
"""Overlap (intersection over union) of two boxes from which they are at the same place."""

Box = tuple[int, int, int, int]
"""First row and column, last row and column and one each."""


@dataclass(frozen=True)
class Seen:
    """What a frame's label says.

    Args:
        id: The case.
        subject: Whose it is.
        moment: Where it stands in its clip.
        present: Whether its structures are there.
        box: Around all that is labeled; None where nothing is, or where there is no mask.
        masked: Whether there is one.
    """

    id: str
    subject: str
    moment: Moment
    present: bool
    box: Box | None
    masked: bool = True


def seen(files: CaseFiles, truth: np.ndarray | None) -> Seen | None:
    """What a case's label says; None of a case that is no frame of a clip, or that says nothing.

    Args:
        files: The case.
        truth: ``(height, width)`` class indices, or None.
    """
    word = files.frame_class.casefold()
    if files.moment is None or (truth is None and word not in (*YES, *NO)):
        return None
    box = None if truth is None else box_around((truth > 0) & (truth != IGNORED))
    present = word in YES if word in (*YES, *NO) else box is not None
    return Seen(files.id, files.subject, files.moment, present, box, truth is not None)


def box_around(mask: np.ndarray) -> Box | None:
    """The box around all that is true of ``(height, width)``; None where nothing is."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1) if rows.size else None


def contradictions(frames: Iterable[Seen]) -> dict[str, str]:
    """Why some frames contradict both neighbors, by their ids.

    Neighbors are the frames before and after in the same clip, each at most `NEAR_S` away where times are known. They
    are contradicted by a frame that differs from both in whether anything is there, or whose labeled place meets
    neither of theirs, while theirs meet each other.
    """
    clips: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for frame in frames:
        clips[frame.subject, frame.moment.clip].append(frame)
    found = {}
    for clip in clips.values():
        ordered = sorted(clip, key=lambda frame: (frame.moment.order, frame.id))
        for before, own, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
            if _near(before, own) and _near(own, after) and (reason := _reason(before, own, after)):
                found[own.id] = reason
    return found


def marked(cases: Sequence[CaseFiles], recipe: Recipe) -> list[CaseFiles]:
    """The cases, each frame that contradicts its neighbors with the reason in its moment.

    Raises:
        DataError: A label cannot be read.
    """
    frames = []
    for files in cases:
        if files.moment is not None and recipe.input.kind == "image":
            own = seen(files, None if files.label is None else read_labels(files.label, recipe.classes, ignored=True))
            frames += [own] if own is not None else []
    reasons = contradictions(frames)
    return [
        replace(files, moment=replace(files.moment, contradicts=reasons.get(files.id, ""))) if files.moment else files
        for files in cases
    ]


def _near(one: Seen, other: Seen) -> bool:
    times = one.moment.time_s, other.moment.time_s
    return None in times or abs(times[1] - times[0]) <= NEAR_S + 1e-6  # type: ignore[operator]


def _reason(before: Seen, own: Seen, after: Seen) -> str:
    names = f"the frames before and after it, {before.id} and {after.id}"
    if before.present == after.present != own.present:
        return f"{names}, {'lack' if own.present else 'show'} the structures"
    boxes = [frame.box for frame in (before, own, after)]
    if before.present and own.present and after.present and None not in boxes:
        overlaps = [_overlap(one, other) for one, other in pairwise([*boxes, boxes[0]])]  # type: ignore[arg-type]
        if max(overlaps[:2]) < MEET <= overlaps[2]:
            return f"{names}, show the structures elsewhere"
    return ""


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    sides = [min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1)]
    common = max(0, sides[0]) * max(0, sides[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)
