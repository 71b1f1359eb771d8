"""Picture models in the formats of other programs, each tried beside Gracile on pictures and frames."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path

import numpy as np

from gracile.bundle import Bundle
from gracile.case import Case
from gracile.export.parity import ParityRow
from gracile.io import IMAGE_SUFFIXES, image_files, read_case_file, stem
from gracile.io.naming import VIDEO_SUFFIXES
from gracile.io.video import open_video
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, recipe_from
from gracile.runners import Computing

LAST_FRAME, EACH = 30, 5
"""Of a clip every fifth frame is looked at, up to there."""


class Exporting(ABC):
    """A format of picture models: how one is written, opened and asked."""

    engine: str
    """What runs it."""

    @abstractmethod
    def write(self, bundle: Bundle, name: str, out: Path) -> list[Path]:
        """Write the model's files, the one that is opened first. Raises RecipeError, BundleError, ExportError."""

    @abstractmethod
    def open(self, files: list[Path]) -> None:
        """Make ready what was written."""

    @abstractmethod
    def mask(self, picture: np.ndarray, region: np.ndarray | None) -> np.ndarray:
        """``(height, width)`` class indices of ``(height, width, 3)`` uint8, within a bool region if there is one."""


def compared(bundle: Bundle, ways: Sequence[Exporting], cases: Sequence[Case], given: bool = False) -> list[ParityRow]:
    """What opened models make of cases, beside Gracile in float32; neither refuses a picture of the wrong kind.

    Args:
        bundle: What was exported.
        ways: The formats, opened.
        cases: Pictures.
        given: Whether they are also tried with the region that Gracile found.
    """
    recipe = recipe_from(bundle.recipe.model_dump(mode="json"), ["input.wrong_kind=flag"])
    pipeline = Pipeline.from_bundle(bundle.model_copy(update={"recipe": recipe}), Computing(precision="float32"))
    rows = []
    for case in cases:
        result = pipeline(case)
        assert result.mask is not None
        regions = {"": case.region} | ({", region given": result.region} if given else {})
        for way, (how, region) in product(ways, regions.items()):
            mask = way.mask(in_colors(case), region)
            rows.append(ParityRow.of_masks(case.id, way.engine + how, result.mask, mask, bundle.recipe.structures))
    return rows


def in_colors(case: Case) -> np.ndarray:
    """``(height, width, 3)`` uint8."""
    channels = np.repeat(case.image, 3, axis=0) if len(case.image) == 1 else case.image
    return np.ascontiguousarray(np.moveaxis(channels, 0, -1))


def read_cases(places: Sequence[Path], recipe: Recipe) -> Iterator[Case]:
    """Pictures and some frames of each clip, of files and folders. Raises DataError."""
    for place in places:
        for path in image_files(place, (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)) if place.is_dir() else [place]:
            if path.name.lower().endswith(VIDEO_SUFFIXES):
                yield from _frames(path)
            else:
                yield read_case_file(path, stem(path), recipe.input)


def _frames(path: Path) -> Iterator[Case]:
    with open_video(path) as video:
        for number, frame in enumerate(islice(video, LAST_FRAME)):
            if number % EACH == 0:
                yield Case.from_array(frame.image, f"{stem(path)}, frame {number}", region=video.region)
