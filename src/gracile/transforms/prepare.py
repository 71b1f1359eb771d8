"""Prepare: a case on the network's own grid and scale. Restore: maps back on the input's grid, to the pixel."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gracile.case import Case
from gracile.errors import DataError
from gracile.recipe import InputSpec, Recipe
from gracile.transforms.field_of_view import look_for_field_of_view
from gracile.transforms.fundus import why_not_a_fundus
from gracile.transforms.placement import Placement
from gracile.transforms.prepared import Prepared
from gracile.transforms.scan import find_scan, why_not_ultrasound
from gracile.transforms.separable import resized
from gracile.transforms.standardizing import standardized
from gracile.transforms.volume import Orientation

WRONG_KIND = "To predict it all the same, and have it flagged: --set input.wrong_kind=flag."
"""What helps where a picture of another kind is refused."""

Why = Callable[[], str]
"""Says why a picture is none of its kind; empty where it is one."""


@dataclass(frozen=True)
class _Kind:
    """A kind of picture: how it is looked at, with the region that is given or None."""

    name: str
    look: Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, Why]]


def _look_for_fundus(image: np.ndarray, given: np.ndarray | None) -> tuple[np.ndarray, Why]:
    if given is not None:
        return given, lambda: why_not_a_fundus(image, given)
    found = look_for_field_of_view(image)
    return found.region, lambda: why_not_a_fundus(image, found.region, found)


def _look_for_scan(image: np.ndarray, given: np.ndarray | None) -> tuple[np.ndarray, Why]:
    region = find_scan(image) if given is None else given
    return region, lambda: why_not_ultrasound(image, region)


_KINDS = {
    "fundus": _Kind("fundus photograph", _look_for_fundus),
    "scan": _Kind("ultrasound image", _look_for_scan),
}


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
        region, why_not = kind.look(case.image, region)
        reason = "" if allow_wrong_kind else why_not()
        if reason and recipe.input.refuses_wrong_kind:
            raise DataError(
                f"{case.id} is no {kind.name}: {reason}.",
                WRONG_KIND,
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
    scaled = placement.resample(image, whole_levels=in_whole_levels(recipe))
    prepared = Prepared(
        image=standardized(scaled, inside, recipe.prepare), region=inside, placement=placement, flags=flags,
        frame_class=case.frame_class,
    )  # fmt: skip
    if case.truth is not None:
        one_hot = np.stack([placement.cut(case.truth) == index for index in range(len(recipe.classes))])
        prepared.truth = resized(one_hot.astype(np.float32), placement.shape)
    return prepared, region


def in_whole_levels(recipe: Recipe) -> bool:
    """Whether a picture may be scaled in whole gray levels: contrast is stretched in no channel afterwards."""
    return all(recipe.prepare.intensity_of(channel) == "unit" for channel in range(recipe.input.channels))


def _prepare_volume(case: Case, recipe: Recipe) -> tuple[Prepared, np.ndarray]:
    """Axes turned to the recipe's orientation and intensities standardized; nothing is resampled."""
    orientation = Orientation.to(recipe.prepare.orientation, case.grid)
    region = np.ones(case.grid.shape, dtype=bool) if case.region is None else case.region
    if not region.any():
        raise DataError(f"{case.id}: the region of interest is empty.", "Check the mask of its region.")
    image, inside = orientation.apply(_with_channels(case, recipe.input)), orientation.apply(region)
    prepared = Prepared(
        image=standardized(image.astype(np.float32), inside, recipe.prepare), region=inside,
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
