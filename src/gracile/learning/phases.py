"""Which layers learn in which part of a training: a frozen trunk first, then more of it at a lower rate."""

import difflib
from collections.abc import Collection

from gracile.errors import RecipeError
from gracile.learning.layers import HEAD, layers_of
from gracile.learning.learners import Learner
from gracile.recipe import PhaseSpec


class Phases:
    """Freezes and frees the layers of a stage as its training goes on.

    A frozen layer keeps its weights and its normalization's running statistics.

    Args:
        stage: The stage that is trained.
        specs: Its phases in order; none lets all layers learn all the time.
        learning: Names of layers that learn in every phase, as they begin anew.

    Raises:
        RecipeError: A phase starts at a layer that does not exist; names the nearest.
    """

    def __init__(self, stage: Learner, specs: list[PhaseSpec], learning: Collection[str] = ()) -> None:
        self.specs = specs
        self.layers = layers_of(stage) if specs else []
        starts = [self._start(spec.start) for spec in specs]
        self.frozen = [[layer for layer in self.layers[:start] if layer.name not in learning] for start in starts]
        total = sum(spec.share for spec in specs)
        self.ends = [sum(spec.share for spec in specs[: i + 1]) / total for i in range(len(specs))]
        self.current = -1

    def enter(self, progress: float) -> float:
        """Freeze and free for a progress from 0 to 1; returns the factor on the learning rate."""
        if not self.specs:
            return 1.0
        number = next((i for i, end in enumerate(self.ends) if progress < end), len(self.ends) - 1)
        if number != self.current:
            self.current = number
            frozen = {layer.name for layer in self.frozen[number]}
            for layer in self.layers:
                for parameter in layer.module.parameters(recurse=False):
                    parameter.requires_grad_(layer.name not in frozen)
        for layer in self.frozen[number]:
            layer.module.eval()
        return self.specs[number].rate

    def _start(self, start: str | int | float) -> int:
        """Index of the first layer that learns."""
        if start == HEAD:
            return max(i for i, layer in enumerate(self.layers) if layer.counts)
        if isinstance(start, str):
            for index, layer in enumerate(self.layers):
                if start in layer.name.split(".") or layer.name.endswith(start) or f".{start}." in f".{layer.name}.":
                    return index
            blocks = sorted({part for layer in self.layers for part in layer.name.split(".") if not part.isdecimal()})
            close = difflib.get_close_matches(start, blocks, n=3)
            raise RecipeError(f"There is no layer {start!r}.", f"There are: {', '.join(close or blocks[:12])}.")
        if isinstance(start, int):
            return self._behind(start)
        if not 0 <= start <= 1:
            raise RecipeError(
                f"A phase cannot start at {start}.",
                "Give a whole number of layers, a share of them from 0 to 1, the name of a layer, or head.",
            )
        return round(start * (len(self.layers) - 1))

    def _behind(self, count: int) -> int:
        """Index behind the first so many layers and the normalizations that count to them."""
        counted = [index for index, layer in enumerate(self.layers) if layer.counts]
        if not 0 <= count < len(counted):
            raise RecipeError(
                f"{count} layers cannot stay frozen: the network has {len(counted)}, and one must learn.",
                f"Give a number from 0 to {len(counted) - 1}, or a share of the layers such as 0.5.",
            )
        return counted[count] if count else 0
