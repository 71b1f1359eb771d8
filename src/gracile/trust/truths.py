"""How good answers to cases of known truth are: their scores, and how far the true outline lies from theirs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from gracile.recipe import Recipe
from gracile.result import Result
from gracile.trust.quality import longer_side
from gracile.trust.signs import SignedAnswer

HELD = 95.0
"""Percent of the true outline that shall lie within a band around the answer's."""


@dataclass(frozen=True)
class HeldAnswer:
    """An answer to a case that the model had not seen, and how good it was.

    Args:
        case: Id of the case.
        subject: Person that it is of.
        answer: Its signs.
        scores: Of each unit, in their order.
        score: Of the case; None where nothing is scored in it.
        there: Of each part that was not found, whether it truly is there.
        margin: Half width of the band around the answer's outline that holds `HELD` percent of the true one, in mm or,
            of a picture, as a share of the longer side of what was looked at; None where there is no such outline.
        areas: Of each unit that is a slice, the error of its area as a share of the true one.
    """

    case: str
    subject: str
    answer: SignedAnswer
    scores: list[float] = field(default_factory=list)
    score: float | None = None
    there: dict[str, bool] = field(default_factory=dict)
    margin: float | None = None
    areas: list[float] = field(default_factory=list)


def held_mask(
    case: str, subject: str, answer: SignedAnswer, result: Result, truth: np.ndarray, recipe: Recipe,
    turn: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> HeldAnswer:  # fmt: skip
    """How good a mask is.

    The score of a structure is its Dice; the case's is the mean over those that the truth or the mask has, as the
    protocols of masks have it, and 1 where neither has any.

    Args:
        case: Id of the case.
        subject: Person that it is of.
        answer: Signs of the mask.
        result: The mask.
        truth: ``(*spatial)`` class indices on the mask's grid; values beyond the classes are ignored.
        recipe: Names the structures.
        turn: Brings an array to the prepared volume's axes, in which slices are counted.
    """
    assert result.mask is not None
    counts = truth < len(recipe.classes)
    if result.region is not None:
        counts &= result.region
    mask, true = np.where(counts, result.mask, 0), np.where(counts, truth, 0)
    found = {name: (np.isin(mask, classes), np.isin(true, classes)) for name, classes in recipe.structures.items()}
    dices = {name: _dice(own, wanted) for name, (own, wanted) in found.items()}
    known = [value for value in dices.values() if value is not None]
    scores, areas = [dices.get(unit.part) or 0.0 for unit in answer.units], []
    if any(unit.slice is not None for unit in answer.units):
        turned = {name: (turn(own), turn(wanted)) for name, (own, wanted) in found.items()}
        by_slice = [_of_slice(*turned[unit.part], unit.slice or 0) for unit in answer.units]
        scores, areas = [score for score, _ in by_slice], [error for _, error in by_slice]
    return HeldAnswer(
        case, subject, answer, scores, float(np.mean(known)) if known else 1.0,
        {name: bool(found[name][1].any()) for name in answer.absent},
        margin_of(found, result), areas,
    )  # fmt: skip


def held_points(
    case: str, subject: str, answer: SignedAnswer, result: Result, truth: Mapping[str, np.ndarray]
) -> HeldAnswer:  # fmt: skip
    """How far landmarks lie from their true places, in mm; the case's score is the mean over those that were found.

    Args:
        case: Id of the case.
        subject: Person that it is of.
        answer: Signs of the landmarks.
        result: The landmarks.
        truth: ``(3,)`` RAS+ mm by name; units of others are left out.
    """
    places = {landmark.name: landmark.point_mm for landmark in result.landmarks}
    units = [unit for unit in answer.units if unit.part in truth]
    errors = [float(np.linalg.norm(np.asarray(places[unit.part]) - truth[unit.part])) for unit in units]
    return HeldAnswer(
        case, subject, SignedAnswer(units, answer.absent), errors, float(np.mean(errors)) if errors else None,
        {name: name in truth for name in answer.absent},
    )  # fmt: skip


def margin_of(found: Mapping[str, tuple[np.ndarray, np.ndarray]], result: Result) -> float | None:
    """How far from the answer's outline the band must reach to hold `HELD` percent of the true one, see `HeldAnswer`.

    Outlines are those of structures that the mask has: around one that was missed no band can be drawn. Each point of
    the true outline is measured from the answer's outline of the same structure.

    Args:
        found: By structure, where it was found and where it truly is.
        result: Its grid and region.
    """
    spacing = result.grid.spacing_mm if len(result.grid.shape) == 3 else None
    far = [_gaps(own, wanted, spacing) for own, wanted in found.values() if own.any() and wanted.any()]
    if not far:
        return None
    margin = float(np.percentile(np.concatenate(far), HELD))
    return margin if spacing is not None else margin / longer_side(result)


def _gaps(own: np.ndarray, wanted: np.ndarray, spacing: tuple[float, ...] | None) -> np.ndarray:
    """Distance of each sample of the true outline from the answer's, in mm or samples."""
    box = ndimage.find_objects((own | wanted).astype(np.uint8))[0]
    own, wanted = own[box], wanted[box]
    outlines = [mask & ~ndimage.binary_erosion(mask) for mask in (own, wanted)]
    away = ndimage.distance_transform_edt(~outlines[0], sampling=spacing)
    return np.asarray(away[outlines[1]])


def _dice(own: np.ndarray, wanted: np.ndarray) -> float | None:
    """Dice; None where neither has anything."""
    sizes = int(np.count_nonzero(own)) + int(np.count_nonzero(wanted))
    return 2 * int(np.count_nonzero(own & wanted)) / sizes if sizes else None


def _of_slice(own: np.ndarray, wanted: np.ndarray, number: int) -> tuple[float, float]:
    """Dice in a slice, and the error of its area as a share of the true one, at most 1."""
    own, wanted = own[..., number], wanted[..., number]
    true = int(np.count_nonzero(wanted))
    error = abs(int(np.count_nonzero(own)) - true) / true if true else 1.0
    return _dice(own, wanted) or 0.0, min(1.0, error)
