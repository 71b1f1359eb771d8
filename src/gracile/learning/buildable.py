"""Whether the stages of a recipe can be built and answer, told before anything long is started."""

import torch

from gracile.errors import GracileError, RecipeError
from gracile.learning.learners import Learner, build_learner
from gracile.learning.phases import Phases
from gracile.recipe import Recipe, StageSpec

_SIDE = {2: 64, 3: 32}
"""Samples along each axis of what a network is tried on."""


def require_buildable(recipe: Recipe) -> list[Learner]:
    """Build every stage of a recipe, untrained, and try its losses and, where it delineates, its network.

    Raises:
        RecipeError: A network or a loss does not exist, has not or cannot take one of its options, or does not answer
            as its stage needs it, or a training phase names layers that it has not; names the stage.
    """
    stages = []
    for spec in recipe.stages:
        try:
            with torch.random.fork_rng():
                stages.append(build_learner(spec, recipe))
            _try(stages[-1], spec, recipe)
        except GracileError as error:
            raise RecipeError(f"Stage {spec.name!r}: {error.message}", error.remedy) from None
    for spec, stage in zip(recipe.stages, stages, strict=True):
        if phases := recipe.train_of(spec).phases:
            Phases(stage, phases)
    return stages


@torch.inference_mode()
def _try(stage: Learner, spec: StageSpec, recipe: Recipe) -> None:
    if spec.gives not in ("mask", "line"):
        return
    axes = 3 if "volume" in spec.inputs else 2
    spatial = (_SIDE[axes],) * axes
    answers = len(recipe.answers) if spec.gives == "mask" else 1
    try:
        answer = stage.eval().logits(torch.zeros(1, recipe.input.channels, *spatial))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise RecipeError(
            f"the network {spec.network.name!r} cannot look at what the stage sees: {error}.", "Check its options."
        ) from None
    if tuple(answer.shape) != (1, answers, *spatial):
        raise RecipeError(
            f"the network {spec.network.name!r} answers {tuple(answer.shape[1:])} where {(answers, *spatial)} is "
            "needed: channels and sizes.",
            "Check its options.",
        )
    small = (8,) * axes
    truth, logits = torch.zeros(1, len(recipe.classes), *small), torch.zeros(1, answers, *small)
    truth[:, 0] = 1.0
    for term, loss in getattr(stage, "terms", []):
        try:
            loss(logits, truth, torch.ones_like(truth[:, :1]))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise RecipeError(
                f"the loss {term.name!r} cannot compare {len(recipe.classes)} classes: {error}.", "Check its options."
            ) from None
