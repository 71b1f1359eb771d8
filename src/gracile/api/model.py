"""A trained bundle, loaded once for many pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gracile.api.answer import Answer
from gracile.api.arguments import checked
from gracile.bundle import Bundle, read_bundle
from gracile.case import Case
from gracile.errors import BundleError, DataError
from gracile.inference.answering import answer
from gracile.io import read_case_file, stem
from gracile.pipeline import Pipeline
from gracile.stages import build_stage


class Model:
    """A loaded bundle: call it with a picture to get a result.

    Args:
        bundle: The bundle.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What run folders and reports call it.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", name: str = "model") -> None:
        self.name = name
        self.recipe = bundle.recipe
        self.card = bundle.card
        self.checksums = bundle.checksums
        stages = [build_stage(spec, bundle.recipe) for spec in bundle.recipe.stages]
        for stage in stages:
            try:
                stage.load_bundle_state(bundle.weights[stage.name])
            except (KeyError, RuntimeError) as error:
                raise BundleError(
                    f"The weights do not fit the recipe's stage {stage.name!r}: {error}.",
                    "Settings of the network cannot be changed after training.",
                ) from None
        self.pipeline = Pipeline(bundle.recipe, stages, device)

    @checked
    def __call__(
        self, image: str | Path | np.ndarray | Case, *, probabilities: bool = False, **measure_settings: Any
    ) -> Answer:
        """Find and measure the recipe's structures.

        Args:
            image: A file (of a volume also the folder of its DICOM series), a case, or of a picture a channels-last
                uint8 array ``(height, width[, channels])``.
            probabilities: Also keep the probability maps ``(classes, *spatial)``.
            measure_settings: Such as ``um_per_pixel=4.5`` or ``disc=(row, column, diameter)``.

        Raises:
            DataError: The picture cannot be read or is of the wrong kind.
            UsageError: It is none of these, or a setting of the measurements is unknown.
        """
        if isinstance(image, str | Path):
            case = read_case_file(Path(image), stem(image), self.recipe.input)
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


@checked
def load(model: str | Path, *, settings: Sequence[str] = (), device: str = "auto") -> Model:
    """Load a shipped model by name or a bundle folder, once, for many pictures.

    Args:
        model: A name that ``gracile models`` lists, or a folder.
        settings: ``key=value`` changes to the recipe, such as ``stages.vessels.flips=true``.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    return Model(read_bundle(model, list(settings)), device, Path(model).name)
