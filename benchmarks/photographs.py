"""The real fundus photographs, and known ways of turning, cutting and spoiling them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

SETS = ("drive-av", "les-av", "hrf-av")


@dataclass(frozen=True)
class Photograph:
    """A photograph with the field of view that comes with its set.

    Args:
        name: ``drive-av/01_test``.
        held_back: Whether ``splits.json`` has it in its test part.
        image: ``(height, width, 3)`` uint8.
        region: ``(height, width)`` bool.
    """

    name: str
    held_back: bool
    image: np.ndarray
    region: np.ndarray

    @property
    def channels_first(self) -> np.ndarray:
        """``(3, height, width)``, as `gracile.case.Case` has it."""
        return np.ascontiguousarray(np.moveaxis(self.image, -1, 0))


def photographs(
    data: Path, held_back: bool | None = None, longer: int = 0, sets: Sequence[str] = SETS
) -> Iterator[Photograph]:
    """The photographs of the three sets.

    Args:
        data: Holds ``retina-av`` and ``splits.json``.
        held_back: Those of the test parts, or those of the training parts; None takes all.
        sets: Those that are wanted.
        longer: Largest side in pixels, to which larger ones are brought by whole steps; 0 leaves them.
    """
    splits = json.loads((data / "splits.json").read_text())
    for name in sets:
        test = splits[f"retina-av/{name}"]["test"]
        for path in sorted((data / "retina-av" / name).glob("*/images/*")):
            is_test = path.parent.parent.name == "test" or path.stem in test
            if held_back is not None and is_test != held_back:
                continue
            mask = np.asarray(Image.open(next((path.parent.parent / "fov").glob(f"{path.stem}_mask.*"))))
            region = (mask if mask.ndim == 2 else mask.max(axis=2)) > 0
            image = Image.open(path).convert("RGB")
            factor = -(-max(image.size) // longer) if longer else 1
            if factor > 1:
                image = image.reduce(factor)
                region = region[factor // 2 :: factor, factor // 2 :: factor][: image.size[1], : image.size[0]]
                image = image.crop((0, 0, region.shape[1], region.shape[0]))
            yield Photograph(f"{name}/{path.stem}", is_test, np.asarray(image), region)


def extent(photograph: Photograph) -> tuple[float, float, float]:
    """Row, column and radius in pixels of the disc that holds the field of view."""
    rows, columns = (np.flatnonzero(photograph.region.any(axis=axis)) for axis in (1, 0))
    return float(rows.mean()), float(columns.mean()), max(np.ptp(rows), np.ptp(columns)) / 2 + 0.5


def turned(photograph: Photograph, degrees: float) -> Photograph:
    """Turned about the middle, the frame grown to hold it, black around it."""
    if degrees % 90 == 0:
        times = int(degrees // 90)
        image, region = (np.ascontiguousarray(np.rot90(part, times)) for part in (photograph.image, photograph.region))
        return replace(photograph, image=image, region=region)
    picture = Image.fromarray(photograph.image).rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    mask = Image.fromarray(photograph.region.astype(np.uint8) * 255).rotate(degrees, expand=True)
    return replace(photograph, image=np.asarray(picture), region=np.asarray(mask) > 127)


def cropped(photograph: Photograph, top: float, left: float, bottom: float, right: float) -> Photograph:
    """Cut by the frame; each number is the part of the field of view's extent that is lost there."""
    rows, columns = (np.flatnonzero(photograph.region.any(axis=axis)) for axis in (1, 0))
    height, width = photograph.region.shape
    deep, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    first, last = rows[0] + top * deep if top else 0, rows[-1] + 1 - bottom * deep if bottom else height
    start, stop = columns[0] + left * wide if left else 0, columns[-1] + 1 - right * wide if right else width
    part = (slice(int(first), int(last)), slice(int(start), int(stop)))
    return replace(photograph, image=photograph.image[part].copy(), region=photograph.region[part].copy())


def padded(photograph: Photograph, share: float) -> Photograph:
    """With black all around it, as pictures are brought to squares."""
    height, width = photograph.region.shape
    side = int(max(height, width) * (1 + share))
    rows, columns = (side - height) // 2, (side - width) // 2
    around = ((rows, side - height - rows), (columns, side - width - columns))
    return replace(
        photograph, image=np.pad(photograph.image, (*around, (0, 0))), region=np.pad(photograph.region, around)
    )


def across(photograph: Photograph, angle: float) -> np.ndarray:
    """``(height, width)`` place along a direction: 0 at one end of the field of view, 1 at the other."""
    row, column, radius = extent(photograph)
    rows, columns = np.indices(photograph.region.shape, sparse=True)
    return ((rows - row) * np.sin(angle) + (columns - column) * np.cos(angle)) / (2 * radius) + 0.5


def shaded(photograph: Photograph, angle: float, begins: float, darkest: float) -> Photograph:
    """A dark side: full light up to a place along a direction, from there falling smoothly to a share of it."""
    place = np.clip((across(photograph, angle) - begins) / (1 - begins), 0, 1)
    light = darkest ** (3 * place**2 - 2 * place**3)
    return with_values(photograph, photograph.image * light[..., None])


def with_values(photograph: Photograph, values: np.ndarray) -> Photograph:
    """With other values, 0 to 255."""
    return replace(photograph, image=np.rint(values).clip(0, 255).astype(np.uint8))
