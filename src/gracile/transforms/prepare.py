"""Prepare: a case on the network's own grid and scale. Restore: maps back on the input's grid, to the pixel."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gracile.case import Case
from gracile.errors import DataError
from gracile.recipe import InputSpec, Recipe
from gracile.transforms.fundus import find_field_of_view, why_not_a_fundus
from gracile.transforms.placement import Placement
from gracile.transforms.prepared import Prepared
from gracile.transforms.scan import find_scan, why_not_ultrasound
from gracile.transforms.separable import resized
from gracile.transforms.volume import Orientation


@dataclass(frozen=True)
class _Kind:
    """A kind of picture: how its region is found, and why one is none of it."""

    name: str
    find: Callable[[np.ndarray], np.ndarray]
    why_not: Callable[[np.ndarray, np.ndarray], str]


_KINDS = {
    "fundus": _Kind("fundus photograph", find_field_of_view, why_not_a_fundus),
    "scan": _Kind("ultrasound image", find_scan, why_not_ultrasound),
}

PERCENTILES = (1, 99)
"""What the intensity option ``percentile`` brings to 0 and 1."""

LEAST_SPAN = 1e-3
"""Smallest span that intensities are divided by."""

MIDDLE = 127.0
"""Gray level to which the intensity option ``median-shift`` brings a channel's median."""


def prepare(case: Case, recipe: Recipe, *, allow_wrong_kind: bool = False) -> tuple[Prepared, np.ndarray]:
    """Bring a case to the recipe's grid.

    Returns:
        The prepared case, and the region ``(height, width)`` bool on the input's grid that was used.

    Raises:
        DataError: The picture is of the wrong kind and the recipe refuses such; or a volume's points lie outside of it,
            or are fewer than the recipe's landmarks.
    """
    if (len(case.grid.shape) == 3) != (recipe.input.kind == "volume"):
        wanted = "volumes" if recipe.input.kind == "volume" else "pictures"
        raise DataError(f"{case.id} cannot be used: the recipe {recipe.name} takes {wanted}.", "Choose another model.")
    if recipe.input.kind == "volume":
        return _prepare_volume(case, recipe)
    image = _with_channels(case, recipe.input)
    flags = list(case.flags)
    region = case.region
    kind = _KINDS.get(recipe.input.region)
    if kind is not None:
        if region is None:
            region = kind.find(case.image)
        reason = "" if allow_wrong_kind else kind.why_not(case.image, region)
        if reason and recipe.input.refuses_wrong_kind:
            raise DataError(
                f"{case.id} is no {kind.name}: {reason}.",
                "To predict it all the same, and have it flagged: --set input.wrong_kind=flag.",
            )
        if reason:
            flags.append(f"may be no {kind.name}: {reason}")
    if region is None:
        region = np.ones(image.shape[1:], dtype=bool)
    if not region.any():
        raise DataError(f"{case.id}: the region of interest is empty.", "Check the mask of its region.")
    placement = _placement(region, recipe.prepare.diameter, recipe.prepare.margin)
    if region.all():
        inside = np.ones(placement.shape, dtype=bool)
    else:
        inside = placement.resample(region[None].astype(np.float32))[0] > 0.5
    # Where contrast is not stretched afterwards, whole gray levels are as good as any.
    scaled = placement.resample(image, whole_levels=recipe.prepare.intensity == "unit")
    prepared = Prepared(
        image=_standardized(scaled, inside, recipe.prepare.intensity), region=inside, placement=placement, flags=flags,
        frame_class=case.frame_class,
    )  # fmt: skip
    if case.truth is not None:
        one_hot = np.stack([placement.cut(case.truth) == index for index in range(len(recipe.classes))])
        prepared.truth = resized(one_hot.astype(np.float32), placement.shape)
    return prepared, region


def _prepare_volume(case: Case, recipe: Recipe) -> tuple[Prepared, np.ndarray]:
    """Axes turned to the recipe's orientation and intensities standardized; nothing is resampled."""
    orientation = Orientation.to(recipe.prepare.orientation, case.grid)
    region = np.ones(case.grid.shape, dtype=bool) if case.region is None else case.region
    if not region.any():
        raise DataError(f"{case.id}: the region of interest is empty.", "Check the mask of its region.")
    image, inside = orientation.apply(_with_channels(case, recipe.input)), orientation.apply(region)
    prepared = Prepared(
        image=_standardized(image.astype(np.float32), inside, recipe.prepare.intensity), region=inside,
        placement=orientation, flags=list(case.flags), frame_class=case.frame_class, affine=orientation.oriented.affine,
    )  # fmt: skip
    prepared.points = case.landmark_voxels(recipe.landmark_names, orientation.oriented)
    if case.start_mm is not None:
        prepared.start = case.voxel_inside("point to start from", case.start_mm, orientation.oriented)
    if case.truth is not None:
        prepared.labels = orientation.apply(case.truth)
    return prepared, region


def _with_channels(case: Case, wanted: InputSpec) -> np.ndarray:
    """The recipe's channels of a case: gray for color and the reverse, where no channel has a meaning of its own."""
    image, channels = case.image, wanted.channels
    if image.shape[0] == channels:
        return image
    if image.shape[0] == 1 and not wanted.separate:
        return np.repeat(image, channels, axis=0)
    if channels == 1 and image.shape[0] == 3 and case.shown is None:
        weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601 luma
        return np.tensordot(weights, image.astype(np.float32), axes=1)[None]
    known = f" ({', '.join(wanted.channel_names)})" if wanted.channel_names else ""
    raise DataError(
        f"{case.id} has {image.shape[0]} channels, the recipe needs {channels}{known}.",
        "Give an image with these channels, in their order.",
    )


def _placement(region: np.ndarray, diameter: int, margin: int) -> Placement:
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    scale = diameter / extent if diameter else 1.0
    border = int(np.ceil(margin / scale))
    top, left = max(0, rows[0] - border), max(0, columns[0] - border)
    bottom = min(region.shape[0], rows[-1] + 1 + border)
    right = min(region.shape[1], columns[-1] + 1 + border)
    shape = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
    height, width = region.shape
    return Placement((height, width), (int(top), int(left), int(bottom), int(right)), shape)


def median_shift(image: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
    """Shift each channel so that its median is 127: ``image - median + 127``, clipped to 0 to 255.

    Args:
        image: Gray levels from 0 to 255, ``(height, width)`` or ``(channels, height, width)``.
        region: ``(height, width)`` bool, the pixels whose median is taken; None takes all.

    Returns:
        The shape of ``image``, float32; pixels outside the region are shifted with the others.
    """
    values = image[..., region] if region is not None else image.reshape(*image.shape[:-2], -1)
    shift = MIDDLE - np.median(values, axis=-1).astype(np.float32)
    return np.clip(image.astype(np.float32) + shift[..., None, None], 0.0, 255.0)


def _standardized(image: np.ndarray, region: np.ndarray, method: str) -> np.ndarray:
    """Intensities brought to one scale per channel, by the pixels inside the region; 0 outside it.

    ``median-shift`` gives (shifted - 127) / 255: the region's median is 0 and all lies from -127/255 to 128/255.
    """
    if method == "median-shift":
        image = median_shift(image, region)
    result = np.zeros(image.shape, dtype=np.float32)
    for channel, values in enumerate(image):
        inside = values[region]
        if method == "zscore":
            low, span = inside.mean(), inside.std()
        elif method == "percentile":
            low, high = np.percentile(inside, PERCENTILES)
            span = high - low
        else:
            low, span = (MIDDLE if method == "median-shift" else 0.0), 255.0
        result[channel] = (values - low) / max(float(span), LEAST_SPAN)
    result *= region
    return result
