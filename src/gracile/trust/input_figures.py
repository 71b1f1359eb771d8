"""What an input shows, in a few numbers: brightness, contrast, clipping, detail, color and extent."""

import numpy as np

from gracile.case import Case
from gracile.trust.figures import INPUT, Figures
from gracile.trust.input_samples import STEPS, Samples, sampled

_CLIPPED = 3 / 255  # of the full range: nearer to its ends counts as clipped, as a JPEG's black is not quite black
_COMPARED = tuple(STEPS.index(step) for step in (1, 4, 16))
_LEAST = 1e-8  # sum of differences, of the full range, from which on they are told


def input_figures(case: Case, region: np.ndarray | None) -> Figures:
    """Figures of an input's values inside a region, from a sample of them; see `figures_of`.

    Args:
        case: The input.
        region: ``(*spatial)`` bool, what counts; None takes all.
    """
    samples = sampled(case, region)
    return {} if samples is None else figures_of(samples)


def figures_of(samples: Samples) -> Figures:
    """Figures of an input's values.

    - ``brightness`` and ``contrast``: mean and standard deviation over the full range, see `Samples.values`.
    - ``clipped_low``, ``clipped_high``: shares of values at either end of that range.
    - ``fineness``: mean difference of neighbors over that of samples four apart: near 1 for noise, a quarter for what
      is wholly smooth. ``coarseness``: the same of samples four and sixteen apart.
    - ``red``, ``blue``: their shares of the sum of the channels; ``color``: strongest less weakest channel.
    - ``extent_mm``: longest side of a volume.
    """
    values, grid = samples.values, samples.case.grid
    figures = {
        "brightness": float(values.mean()),
        "contrast": float(values.std(axis=1).mean()),
        "clipped_low": float((values <= _CLIPPED).mean()),
        "clipped_high": float((values >= 1 - _CLIPPED).mean()),
    }
    sums = np.nansum(samples.differences, axis=0)[list(_COMPARED)]
    for name, near, far in zip(("fineness", "coarseness"), sums[:-1], sums[1:], strict=True):
        if far > _LEAST:
            figures[name] = float(near / far)
    if samples.colored:
        means = values.mean(axis=1)
        figures["red"], _, figures["blue"] = (float(mean / max(means.sum(), 1e-9)) for mean in means)
        figures["color"] = float(np.ptp(values, axis=0).mean())
    if len(grid.shape) == 3 and grid.spacing_mm is not None:
        sides = zip(grid.shape, grid.spacing_mm, strict=True)
        figures["extent_mm"] = float(max(length * spacing for length, spacing in sides))
    return {(INPUT, name): value for name, value in figures.items()}
