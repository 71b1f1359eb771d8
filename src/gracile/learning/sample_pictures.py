"""Pictures of a stage's samples as its network sees them, with the truth and its present answer."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gracile.case import Case
from gracile.geometry import Grid
from gracile.learning.learners import Learner
from gracile.recipe import DecisionSpec, Recipe
from gracile.report import ReportCase, result_layers
from gracile.result import Result
from gracile.stages.decisions import decide
from gracile.stages.views import overlapping

_SHORTEST = 256
"""Pixels of a picture's longer side that a smaller one is enlarged to."""

_HEAT = (213, 94, 0)


def draw_sample(
    stage: Learner, name: str, image: Tensor, answer: Tensor, batch: dict[str, Tensor]
) -> ReportCase | None:
    """A sample of one of the network's kinds.

    Args:
        stage: Whose sample it is.
        name: What the page calls it.
        image: ``(channels, *spatial)`` what the network saw.
        answer: Its logits for that: ``(maps, *spatial)``, or ``(classes,)`` of a gate.
        batch: The rest of the sample, of one case: ``truth`` ``(maps, *spatial)`` or ``target``.

    Returns:
        Its entry; None where neither a mask nor a class is answered, as for landmarks.
    """
    spatial = image.shape[1:]
    if answer.ndim == 1 and "target" in batch:
        return _of_class(stage, name, image, answer, int(batch["target"].flatten()[0]))
    if "truth" not in batch or answer.ndim != image.ndim or answer.shape[1:] != spatial:
        return None
    truth, of_regions = batch["truth"], bool(stage.recipe.regions) and stage.learns_classes
    # The network may see the case in another frame.
    fits = truth.shape[1:] == spatial if of_regions else truth.shape == answer.shape
    shown = indices(truth) if fits else None
    if of_regions:
        maps = overlapping(answer.float().cpu().numpy())
        found = decide(maps, DecisionSpec(), stage.recipe.written)
    else:
        found = indices(answer.sigmoid() if len(answer) == 1 else answer)
    picture = _gray(image)
    if len(spatial) == 3:
        at = _slice_with_most(found if shown is None else shown)
        picture, found = picture[..., at], found[..., at]
        shown = None if shown is None else shown[..., at]
        # The first axis runs to the right and the second upwards, as in a volume's own views.
        picture, found = picture.swapaxes(1, 2)[:, ::-1], found.T[::-1]
        shown = None if shown is None else shown.T[::-1]
    entry = ReportCase(name, "found")
    names, colors = _classes(stage.recipe, len(stage.recipe.classes) if of_regions else len(answer))
    picture, found = _enlarged(picture), _enlarged(found)
    shown = None if shown is None else _enlarged(shown)
    result = Result(name, "found", Grid(found.shape), names, mask=found)
    entry.base, entry.layers = result_layers(Case(name, picture, Grid(found.shape)), result, colors, shown)
    return entry


def _of_class(stage: Learner, name: str, image: Tensor, answer: Tensor, target: int) -> ReportCase:
    kinds = stage.answer_names()
    said = answer.softmax(dim=0)
    likeliest = int(said.argmax())
    words = f"It is {kinds[target]}; the answer is {kinds[likeliest]} ({float(said[likeliest]):.2f})."
    picture = _enlarged(_gray(image))
    grid = Grid(picture.shape[1:])
    base, _ = result_layers(Case(name, picture, grid), Result(name, "found", grid, kinds), [(0, 0, 0)] * len(kinds))
    flags = [] if likeliest == target else ["answered wrongly"]
    return ReportCase(name, "found", words, base=base, flags=flags)


def indices(maps: Tensor) -> np.ndarray:
    """``(*spatial)`` uint8: of several maps the number of the highest, of a single one where it reaches half."""
    if len(maps) == 1:
        return (maps[0] >= 0.5).to(torch.uint8).cpu().numpy()
    return maps.argmax(dim=0).to(torch.uint8).cpu().numpy()


def _classes(recipe: Recipe, maps: int) -> tuple[list[str], Sequence[Sequence[int]]]:
    """Names and colors of what is answered: the recipe's classes, or a single map of heat."""
    if maps == 1:
        return ["background", "heat"], [(0, 0, 0), _HEAT]
    if maps == len(recipe.classes):
        return recipe.class_names, [spec.color for spec in recipe.classes]
    return [f"map {index}" for index in range(maps)], [(37 * n % 256, 91 * n % 256, 151 * n % 256) for n in range(maps)]


def _gray(image: Tensor) -> np.ndarray:
    """``(1 or 3, *spatial)`` uint8: three channels as colors, of other numbers the first, between their percentiles."""
    values = image.float().cpu().numpy()
    values = values if len(values) == 3 and values.ndim == 3 else values[:1]
    low, high = np.percentile(values, [0.5, 99.5])
    return (255 * ((values - low) / max(high - low, 1e-9)).clip(0, 1)).astype(np.uint8)


def _slice_with_most(labels: np.ndarray) -> int:
    """The slice along the last axis that shows most of the classes; the middle one where none does."""
    counts = (labels > 0).sum(axis=(0, 1))
    return int(counts.argmax()) if counts.any() else labels.shape[2] // 2


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """A small picture with each pixel repeated, so that it can be looked at."""
    times = max(1, round(_SHORTEST / max(picture.shape[-2:])))
    return picture.repeat(times, axis=-2).repeat(times, axis=-1)
