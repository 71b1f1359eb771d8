"""Signs of how far an answer can be trusted, from what was computed anyway: its maps, its image, its line."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from gracile.geometry import Centerline
from gracile.stages.copies import Members, box_of
from gracile.transforms.stored import Array

FAINT = 1 / 256
"""Probability below which there is no doubt: wide and empty backgrounds would else add up to some."""

REACH = 3
"""Samples on either side of an outline whose intensities are compared."""

AXES = ("down", "across", "deep")
"""What the place of a structure along each axis is called."""


def map_signs(probabilities: np.ndarray, mask: np.ndarray, members: Members, image: Array) -> dict[str, float]:
    """What the maps of probabilities, and the image, say of each structure beside its mask.

    - ``peak``: its largest probability. ``mass``: the sum of its probabilities, as a share of all samples.
    - Where the mask has it, ``inside``: its mean probability there; ``outside``: the sum of its probabilities elsewhere
      over the samples that it has; ``rivals``: the mean probability of all other structures where it is.
    - ``confidence``: the Dice that the probabilities themselves expect, 2 Σpm / (Σp + Σm), which is known as soft Dice
      (as a sign of Dice see Li et al., arXiv:2209.01065, 2022). ``doubt``: one less the same of probabilities whose
      logits are halved, which sees more of what is faint.
    - ``width``: Σp(1 - p) over the length of the outline, in samples: how wide the seam is where the maps are unsure.
    - ``edge``: mean difference of the image's intensities between both sides of the outline.
    - ``down``, ``across`` and of volumes ``deep``: where its middle lies along each axis, from 0 to 1.

    Args:
        probabilities: ``(maps, *spatial)`` float32.
        mask: ``(*spatial)`` class indices that were decided from them.
        members: The maps and classes of each structure.
        image: ``(channels, *spatial)`` standardized intensities.
    """
    signs: dict[str, float] = {}
    background = probabilities[0].ravel()
    values = np.asarray(image, dtype=np.float32)
    padded = np.pad(values[0] if len(values) == 1 else values.mean(axis=0), REACH, mode="edge")
    for name, (maps, classes) in members.items():
        own = (probabilities[maps[0]] if len(maps) == 1 else probabilities[list(maps)].sum(axis=0)).ravel()
        there = mask == classes[0] if len(classes) == 1 else np.isin(mask, classes)
        found = _of_maps(own, there.ravel(), background)
        if found["count"]:
            box = box_of(there)
            assert box is not None
            steps = _across(padded, there, box)
            found["width"] = found["unsure"] / max(1, len(steps))
            found["edge"] = float(np.abs(steps).mean()) if len(steps) else 0.0
            found |= _place(there, box)
        signs |= {f"{name}: {what}": value for what, value in found.items() if what not in ("count", "unsure")}
    return signs


def _of_maps(own: np.ndarray, there: np.ndarray, background: np.ndarray) -> dict[str, float]:
    """Signs of one structure from its flat map alone, how many samples it has, and Σp(1 - p)."""
    count, mass = int(np.count_nonzero(there)), float(own.sum(dtype=np.float64))
    signs: dict[str, float] = {"count": count, "peak": float(own.max(initial=0.0)), "mass": mass / max(1, own.size)}
    if count:
        member = there.astype(np.float32)
        within = float(member @ own)
        halved = _halved(own)
        signs |= {
            "inside": within / count,
            "outside": max(0.0, mass - within) / count,
            "rivals": max(0.0, count - within - float(member @ background)) / count,
            "confidence": 2 * within / (mass + count),
            "doubt": 1 - 2 * float(member @ halved) / (float(halved.sum(dtype=np.float64)) + count),
            "unsure": max(0.0, mass - float(own @ own)),
        }
    return signs


def _halved(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities whose logits are halved; 0 where they are faint."""
    halved = np.sqrt(np.clip(probabilities, 0.0, 1.0))
    halved /= halved + np.sqrt(np.clip(1.0 - probabilities, 0.0, 1.0))
    halved[probabilities < FAINT] = 0.0
    return halved


def slice_signs(probabilities: np.ndarray, mask: np.ndarray, members: Members) -> dict[str, np.ndarray]:
    """``count`` and the signs of the maps by slice across the third axis of a volume, ``(slices,)`` each.

    Where a slice has nothing of a structure they are 0.
    """
    signs: dict[str, np.ndarray] = {}
    for name, (maps, classes) in members.items():
        own, there = probabilities[list(maps)].sum(axis=0), np.isin(mask, classes)
        count, mass = there.sum(axis=(0, 1)).astype(float), own.sum(axis=(0, 1), dtype=np.float64)
        within = np.where(there, own, 0.0).sum(axis=(0, 1), dtype=np.float64)
        halved = _halved(own)
        expected = np.where(there, halved, 0.0).sum(axis=(0, 1), dtype=np.float64)
        size = np.maximum(count, 1.0)
        signs |= {
            f"{name}: count": count,
            f"{name}: inside": within / size,
            f"{name}: outside": np.maximum(0.0, mass - within) / size,
            f"{name}: confidence": 2 * within / (mass + size),
            f"{name}: doubt": 1 - 2 * expected / (halved.sum(axis=(0, 1), dtype=np.float64) + size),
        }
    return signs


def line_signs(name: str, line: Centerline, stiffness: float) -> dict[str, float]:
    """Of a line that a stage found: its mean and its low ``heat``, the ``cost`` of its slopes, its ``length`` in mm."""
    steps = np.diff(line.points_mm, axis=0)
    slopes = np.linalg.norm(steps[:, :2], axis=1) / np.maximum(np.abs(steps[:, 2]), 1e-6)
    signs = {
        f"{name}: length": float(np.linalg.norm(steps, axis=1).sum()),
        f"{name}: cost": float(stiffness * np.mean(slopes**2)) if len(steps) else 0.0,
    }
    if line.probabilities is not None and len(line.probabilities):
        signs[f"{name}: heat"] = float(np.mean(line.probabilities))
        signs[f"{name}: low heat"] = float(np.percentile(line.probabilities, 5))
    return signs


def joined_signs(members: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Signs of what several members of an ensemble found: the mean of those that each has of its own answer.

    So they mean what they mean of a single model, by whose held-back answers their worth is learned.
    """
    names = dict.fromkeys(name for signs in members for name in signs)
    return {name: fmean(signs[name] for signs in members if name in signs) for name in names}


def _place(there: np.ndarray, box: tuple[slice, ...]) -> dict[str, float]:
    """Where the middle of a structure lies, from 0 to 1 along each axis; in a box that holds it."""
    places, inner = {}, there[box]
    for axis, name in zip(range(there.ndim), AXES, strict=False):
        along = np.count_nonzero(inner, axis=tuple(other for other in range(there.ndim) if other != axis))
        mean = float(along @ np.arange(len(along))) / int(along.sum())
        places[name] = (box[axis].start + mean + 0.5) / there.shape[axis]
    return places


def _across(padded: np.ndarray, there: np.ndarray, box: tuple[slice, ...]) -> np.ndarray:
    """Mean intensities on the inner side of each step of a structure's outline, less those on the outer side.

    Args:
        padded: ``(*spatial)`` intensities, by `REACH` samples on each side.
        there: ``(*spatial)`` bool, where the structure is.
        box: Holds it.
    """
    wider = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
    inner = there[wider]
    corner = np.array([side.start for side in wider]) + REACH
    flat, strides = padded.ravel(), np.array(padded.strides) // padded.itemsize
    differences: list[np.ndarray] = [np.zeros(0)]
    for axis in range(there.ndim):
        at = np.nonzero(np.diff(inner, axis=axis))  # of booleans: where they differ
        start = int(corner @ strides) + sum(places * stride for places, stride in zip(at, strides, strict=True))
        before, after = np.zeros(len(at[0]), np.float32), np.zeros(len(at[0]), np.float32)
        for far in range(REACH):
            before += flat[start - far * strides[axis]]
            after += flat[start + (far + 1) * strides[axis]]
        differences.append(np.where(inner[at], before - after, after - before) / REACH)
    return np.concatenate(differences)
