"""The segment stage: one network delineates all classes of a picture."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from gracile.runners.base import Runner
from gracile.stages.base import Finding, Stage
from gracile.stages.copies import Copies, ends_of, members_of
from gracile.stages.decisions import decide, mend
from gracile.stages.views import Answered, in_views, overlapping, softmax, tiled
from gracile.transforms import Prepared

Flips = bool | Literal["horizontal"]


class SegmentStage(Stage):
    """Delineates the recipe's classes in a prepared picture. The network answers logits of every pixel."""

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        image, recipe = np.asarray(prepared.image, dtype=np.float32), self.recipe
        copies = Copies(self.decide)
        finding.probabilities = delineated(
            self.run, image, recipe.map_opposites, self.spec.flips, self.spec.largest_input,
            overlapping if recipe.regions else softmax, copies.take if finding.signed and self.spec.flips else None,
        )  # fmt: skip
        finding.take_copies(copies.signs(members_of(recipe)), copies.place(ends_of()))
        return finding

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return decide(probabilities, self.spec.decision, self.recipe.written)

    def tidy(self, mask: np.ndarray, probabilities: np.ndarray) -> list[str]:
        return mend(mask, probabilities, self.recipe, self.spec.decision)


def delineated(
    run: Runner,
    image: np.ndarray,
    opposites: list[int],
    flips: Flips = False,
    largest_input: int = 4_000_000,
    shares: Callable[[np.ndarray], np.ndarray] = softmax,
    each: Answered | None = None,
) -> np.ndarray:
    """Probabilities of a picture's classes, averaged over mirrored views.

    Args:
        run: From ``(1, channels, height, width)`` to logits ``(1, classes, height, width)``.
        image: ``(channels, height, width)`` float32.
        opposites: Map that each map is in a mirror image.
        flips: Whether answers to all four mirrored views are averaged, or to the left-right ones.
        largest_input: Pixels above which the picture is predicted in overlapping tiles with Gaussian weights.
        shares: From logits to probabilities, their maps along the first axis.
        each: Told the probabilities of each view.

    Returns:
        ``(maps, height, width)`` float32.
    """
    side = int(largest_input**0.5) // 64 * 64

    def answer(view: np.ndarray) -> np.ndarray:
        whole = view.shape[1] * view.shape[2] <= largest_input
        return shares(run(view[None])[0] if whole else tiled(run, view, (side, side), 0.25))

    views: list[tuple[int, ...]] = [(), (1,), (0,), (0, 1)]
    chosen = views[:2] if flips == "horizontal" else views if flips else views[:1]
    return in_views(answer, image, chosen, (), opposites, each=each)
