"""How slices follow each other: the one volume that they are, or why they are none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gracile.errors import DataError

SAME_POSITION_MM = 1e-3
UNEVEN_NOTED, UNEVEN_REFUSED = 0.01, 0.05
"""Shares of the slice distance by which gaps may differ before it is noted, and before the series is refused."""


@dataclass(frozen=True)
class Slice:
    """What a header says of one image: of a file, or of one frame of an enhanced one.

    Args:
        path: The file.
        frame: The frame in it, from 0.
        uid: Of the file's object; copies of it have the same.
        series: Its series' UID.
        number: The series' number, as people know it.
        description: What those who scanned call the series; may be empty.
        instance: The number of the image in its series.
        shape: (columns, rows).
        position: Of the first voxel, ``(3,)`` LPS mm.
        rows, columns: ``(3,)`` directions in which a row and a column run.
        spacing: (between columns, between rows) in mm.
        thickness: Distance to the next slice by the header's word, or 0.
        localizer: Whether it is a view to plan others by.
    """

    path: Path
    frame: int
    uid: str
    series: str
    number: str
    description: str
    instance: int
    shape: tuple[int, int]
    position: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    spacing: tuple[float, float]
    thickness: float
    localizer: bool

    @property
    def normal(self) -> np.ndarray:
        """The direction in which slices follow each other."""
        return np.cross(self.rows, self.columns)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"frame {self.frame + 1} of {self.path.name}" if self.frame else self.path.name


def stacked(
    path: Path, slices: Sequence[Slice], flags: list[str], notes: list[str]
) -> tuple[list[list[Slice]], np.ndarray]:
    """The slices by position along the normal, and the step from one position to the next in LPS mm.

    Raises:
        DataError: They differ in size or orientation, lie at one position or at uneven ones, or some are missing.
    """
    first = slices[0]
    for what, same in (
        ("sizes", all(one.shape == first.shape for one in slices)),
        ("orientations", all(_alike(one.rows, first.rows) and _alike(one.columns, first.columns) for one in slices)),
        ("pixel sizes", all(np.allclose(one.spacing, first.spacing, rtol=1e-3) for one in slices)),
    ):
        if not same:
            raise DataError(
                f"The images in {path} have different {what}: they are no single volume.",
                "Give the images of each volume a folder of their own.",
            )
    ordered = sorted(_once_each(slices, notes), key=lambda one: (float(one.position @ first.normal), *_order(one)))
    stacks: list[list[Slice]] = []
    for one in ordered:
        if stacks and float((one.position - stacks[-1][0].position) @ first.normal) < SAME_POSITION_MM:
            stacks[-1].append(one)
        else:
            stacks.append([one])
    if len(stacks) == 1 and len(ordered) > 1:
        raise DataError(
            f"All {len(ordered)} images in {path} lie at one position (Image Position (Patient)): they are no volume.",
            "Export the original series, whose images say where they lie.",
        )
    stacks = [sorted(stack, key=_order) for stack in stacks]
    counts = Counter(len(stack) for stack in stacks)
    if len(counts) > 1:
        most = counts.most_common(1)[0][0]
        odd = sum(len(stack) != most for stack in stacks)
        raise DataError(
            f"{path} has {most} images at most positions and another number at {odd} of {len(stacks)}: "
            "some are missing or double.",
            "Export the series again, or remove the double files.",
        )
    return stacks, _step(path, [stack[0] for stack in stacks], flags, notes)


def _order(one: Slice) -> tuple[int, str, int]:
    return one.instance, one.path.name, one.frame


def _once_each(slices: Sequence[Slice], notes: list[str]) -> list[Slice]:
    """The slices without the copies of files that are there twice."""
    kept: dict[tuple[str, int], Slice] = {}
    for one in slices:
        kept.setdefault((one.uid or str(one.path), one.frame), one)
    if len(kept) < len(slices):
        notes.append(f"{len(slices) - len(kept)} images are copies of others and were passed over")
    return list(kept.values())


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, atol=1e-3))


def _step(path: Path, slices: Sequence[Slice], flags: list[str], notes: list[str]) -> np.ndarray:
    """From one slice to the next in LPS mm; refuses gaps."""
    first, normal = slices[0], slices[0].normal
    if len(slices) == 1:
        if not first.thickness:
            flags.append("a single slice of unknown thickness: taken as 1 mm")
        return normal * (first.thickness or 1.0)
    positions = np.stack([one.position for one in slices])
    gaps = np.diff(positions @ normal)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # of two in the middle the smaller: a gap is no distance
    uneven = float(np.abs(gaps - usual).max() / usual)
    if uneven > UNEVEN_REFUSED:
        widest = int(gaps.argmax())
        skipped = round(float(gaps[widest] / usual)) - 1
        between = f"between {slices[widest].name} and {slices[widest + 1].name}"
        if skipped >= 1 and np.abs(gaps / usual - np.rint(gaps / usual)).max() <= 2 * UNEVEN_REFUSED:
            missing = int(np.rint(gaps / usual).sum()) - len(gaps)
            raise DataError(
                f"{path} lacks {missing} of {missing + len(slices)} slices, the first of them {between}.",
                "Export the series again, with all its images.",
            )
        raise DataError(
            f"The slices in {path} lie {gaps.min():.3g} to {gaps.max():.3g} mm apart, the farthest {between}.",
            "Export the series with even slices, or resample it.",
        )
    if uneven > UNEVEN_NOTED:
        flags.append(f"slices lie {gaps.min():.4g} to {gaps.max():.4g} mm apart; taken as even")
    step = (positions[-1] - positions[0]) / (len(slices) - 1)
    strays = positions - (positions[0] + np.arange(len(slices))[:, None] * step)
    along = strays @ normal
    aside = np.linalg.norm(strays - along[:, None] * normal, axis=1)
    if aside.max() > 0.1 * min(first.spacing) or np.abs(along).max() > 0.25 * usual:
        raise DataError(f"The slices in {path} do not lie on one line.", "Export the series again, or resample it.")
    tilt = np.degrees(np.arccos(min(1.0, float(step @ normal) / float(np.linalg.norm(step)))))
    if tilt > 0.5:
        notes.append(f"slices are shifted against each other (gantry tilt of {tilt:.1f} degrees)")
    return step
