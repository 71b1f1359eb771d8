"""A trained bundle, loaded once for many pictures."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gracile.api.answer import Answer
from gracile.api.arguments import checked
from gracile.bundle import Bundle
from gracile.case import Case
from gracile.ensemble import read_bundles
from gracile.errors import DataError, UsageError
from gracile.inference.answering import answer
from gracile.io import read_case_file, stem
from gracile.io.naming import channel_of
from gracile.measure.by_recipe import require_measures
from gracile.pipeline import Pipeline
from gracile.runners import Computing

log = logging.getLogger(__name__)


class Model:
    """A loaded bundle: call it with a picture to get a result.

    Args:
        bundle: The bundle.
        computing: By which engine, how exactly, on how many threads and where.
        name: What run folders and reports call it.
    """

    def __init__(self, bundle: Bundle, computing: Computing = Computing(), name: str = "model") -> None:  # noqa: B008
        require_measures(bundle.recipe)
        for warning in bundle.recipe.warnings:
            log.warning("%s", warning)
        self.name = name
        self.bundle = bundle
        self.recipe = bundle.recipe
        self.card = bundle.card
        self.checksums = bundle.checksums
        self.pipeline = Pipeline.from_bundle(bundle, computing)

    @checked
    def __call__(
        self,
        image: str | Path | Sequence[str | Path] | np.ndarray | Case,
        *,
        probabilities: bool = False,
        **measure_settings: Any,
    ) -> Answer:
        """Find and measure the recipe's structures.

        Args:
            image: A file (of a volume also the folder of its DICOM series), the files of its channels in the recipe's
                order, a case, or of a picture a channels-last uint8 array ``(height, width[, channels])``.
            probabilities: Also keep the probability maps ``(classes, *spatial)``.
            measure_settings: Such as ``um_per_pixel=4.5`` or ``disc=(row, column, diameter)``.

        Raises:
            DataError: The picture cannot be read or is of the wrong kind.
            UsageError: It is none of these, or a setting of the measurements is unknown.
        """
        if isinstance(image, str | Path):
            case = read_case_file(Path(image), stem(image), self.recipe.input)
        elif isinstance(image, Sequence):
            case = self._joined([Path(path) for path in image])
        elif isinstance(image, Case):
            case = image
        elif self.recipe.input.kind == "volume":
            raise DataError(
                "An array does not say how it lies in the patient.",
                "Give a file, or gracile.case.Case.from_volume(array, affine).",
            )
        else:
            case = Case.from_array(image)
        result = answer(self.pipeline, case, keep_probabilities=probabilities, settings=measure_settings)
        return Answer.of(result, case, self.recipe)

    def _joined(self, paths: list[Path]) -> Case:
        """A case of the files of its channels. Raises DataError, and UsageError where none is named."""
        if not paths:
            raise UsageError("No file is named.", "Give the files of the channels, in the recipe's order.")
        numbered = channel_of(paths[0]) if len(paths) > 1 else None
        name = numbered[0] if numbered else stem(paths[0])
        return read_case_file(paths[0], name, self.recipe.input, channels=paths[1:])


@checked
def load(
    model: str | Path | Sequence[str | Path],
    *,
    settings: Sequence[str] = (),
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> Model:
    """Load a shipped model by name or a bundle folder, once, for many pictures.

    Args:
        model: A name that ``gracile models`` lists, or a folder; several answer together, as an ensemble.
        settings: ``key=value`` changes to the recipe, such as ``stages.vessels.flips=true``.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``auto``, ``openvino``, ``onnxruntime`` or ``torch``.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        threads: Of the processor; 0 takes all.

    Raises:
        BundleError: Several that do not belong together.
        UsageError: The engine, the precision or the device cannot be had.
    """
    computing = Computing(engine, precision, threads, device)
    models = [model] if isinstance(model, str | Path) else list(model)
    return Model(read_bundles(models, list(settings)), computing, model_name(models))


def model_name(models: Sequence[str | Path]) -> str:
    """What run folders and reports call one model, or several that answer together."""
    return " + ".join(Path(model).name for model in models)
