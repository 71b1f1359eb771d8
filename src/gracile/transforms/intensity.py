"""The part of a volume's intensities that windows show."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class IntensityRange:
    """The part of a volume's intensities that is shown, as 0 to 1."""

    low: float
    high: float

    @classmethod
    def of(cls, image: np.ndarray, region: np.ndarray, deviations: float) -> "IntensityRange":
        """The range of a volume, cut ``deviations`` standard deviations from its mean; 0 does not cut.

        The volume's lowest value is left out of both: it is what scanners fill the air and the corners with, and much
        of it would draw the limits together.

        Args:
            image: ``(x, y, z)``.
            region: ``(x, y, z)`` bool, what counts.
            deviations: Metal shines so brightly that without a cut it would set the scale.
        """
        inside = np.asarray(image[region], dtype=np.float32)
        low, high = float(inside.min()), float(inside.max())
        shown = inside[inside > low]
        if deviations and len(shown):
            mean, spread = float(shown.mean(dtype=np.float64)), float(shown.std(dtype=np.float64))
            low, high = max(low, mean - deviations * spread), min(high, mean + deviations * spread)
        return cls(low, high)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Intensities as 0 to 1, float32."""
        scale = 1.0 / max(self.high - self.low, 1e-6)
        return np.clip((np.asarray(image, dtype=np.float32) - self.low) * scale, 0.0, 1.0).astype(np.float32)
