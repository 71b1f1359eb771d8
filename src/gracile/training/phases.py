"""Which layers learn in which part of a training: a frozen trunk first, then more of it at a lower rate."""

import difflib

from torch import nn

from gracile.errors import RecipeError
from gracile.recipe import PhaseSpec
from gracile.stages import Stage

HEAD = "head"


class Phases:
    """Freezes and frees the layers of a stage as its training goes on.

    A frozen layer keeps its weights and its normalization's running statistics.

    Args:
        stage: The stage that is trained.
        specs: Its phases in order; none lets all layers learn all the time.

    Raises:
        RecipeError: A phase starts at a layer that does not exist; names the nearest.
    """

    def __init__(self, stage: Stage, specs: list[PhaseSpec]) -> None:
        self.specs = specs
        self.layers = [
            (name, module)
            for name, module in stage.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        ]
        self.starts = [self._start(spec.start) for spec in specs]
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
            for index, (_, layer) in enumerate(self.layers):
                for parameter in layer.parameters(recurse=False):
                    parameter.requires_grad_(index >= self.starts[number])
        for _, layer in self.layers[: self.starts[number]]:
            layer.eval()
        return self.specs[number].rate

    def _start(self, start: str | float) -> int:
        """Index of the first layer that learns."""
        if start == HEAD:
            kinds = (nn.Linear, nn.Conv2d)
            return max(i for i, (_, layer) in enumerate(self.layers) if isinstance(layer, kinds))
        if isinstance(start, str):
            for index, (name, _) in enumerate(self.layers):
                if start in name.split(".") or name.endswith(start) or f".{start}." in f".{name}.":
                    return index
            blocks = sorted({part for name, _ in self.layers for part in name.split(".") if not part.isdecimal()})
            close = difflib.get_close_matches(start, blocks, n=3)
            raise RecipeError(f"There is no layer {start!r}.", f"There are: {', '.join(close or blocks[:12])}.")
        if not 0 <= start <= 1:
            raise RecipeError(f"A phase cannot start at {start}.", "Give a fraction from 0 to 1, a layer, or head.")
        return round(start * (len(self.layers) - 1))
