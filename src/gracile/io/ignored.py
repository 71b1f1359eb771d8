"""What label files say is to be ignored: neither learned from nor scored."""

from collections.abc import Sequence

import numpy as np

from gracile.io.unknown_labels import LabelClass


def without_ignored(values: np.ndarray, classes: Sequence[LabelClass]) -> tuple[np.ndarray, np.ndarray | None]:
    """Label values in which what is to be ignored is background, and where that was; None where nothing is.

    Args:
        values: Of index labels.
        classes: By index, the background first, which names the values to be ignored.
    """
    ignored = list(getattr(classes[0], "ignored", ())) if classes else []
    where = np.isin(values, ignored) if ignored else None
    if where is None or not where.any():
        return values, None
    rest = values.copy()
    rest[where] = classes[0].values[0] if classes[0].values else 0
    return rest, where
