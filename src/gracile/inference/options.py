"""What a prediction run is asked for beside the masks, and whether that fits its inputs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gracile.errors import DataError, UsageError
from gracile.inference.inputs import Input, Shard
from gracile.inference.result_files import POINT_FORMATS, USUAL_POINTS
from gracile.inference.segmentation_objects import is_dicom_input
from gracile.inference.start_points import start_point
from gracile.io.dicom.segmentations import require_segmentations
from gracile.io.naming import image_files, pair_files
from gracile.measure import require_known_settings
from gracile.names import VERSION
from gracile.recipe import Recipe

OF_ONE_INPUT = ("disc", "levels")
"""Settings of the measurements that are another for each input; they are no settings of a run folder."""


@dataclass(frozen=True)
class VideoOptions:
    """How videos are shown and smoothed.

    Args:
        opacity: Of the colors over the frames, 0 to 1.
        contour: Also draw outlines.
        smooth: Half-life in seconds of the smoothing of class and mask over time; 0 smooths nothing.
        format: Of the video that is written.
        truth: Folder of labels, see `gracile.inference.frames.ClipTruth`: adds scores and the truth side by side.
        waiting: Frames that may wait between two steps.
    """

    opacity: float = 0.2
    contour: bool = False
    smooth: float = 0.0
    format: str = "mp4"
    truth: Path | None = None
    waiting: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise UsageError(f"The overlay's opacity is {self.opacity}.", "Give a number from 0 to 1.")
        if self.smooth < 0:
            raise UsageError(f"The half-life of the smoothing is {self.smooth} s.", "Give seconds, such as 0.2, or 0.")
        if self.format not in ("mp4", "avi"):
            raise UsageError(f"There is no video format {self.format!r}.", "There are: mp4, avi.")

    def as_settings(self) -> dict[str, Any]:
        """What the results of all videos depend on, as plain data; the truth is another for each."""
        return {"opacity": self.opacity, "contour": self.contour, "smooth": self.smooth, "format": self.format}


@dataclass(frozen=True)
class Options:
    """What a prediction run is asked for beside the masks.

    Args:
        shard: This job's part of the inputs.
        regions: Folder of masks of the region of interest (field of view), by name.
        probabilities: Also write ``probabilities/NAME.npz`` (volumes: ``.nii.gz``).
        overwrite: Do not reuse what the folder holds.
        measure: Settings of the measurements (`gracile.measure.SETTINGS`), e.g. ``{"um_per_pixel": 4.5}``.
        video: How videos are shown and smoothed.
        near: Where landmarks are looked for, see `gracile.inference.start_points.start_point`; empty looks everywhere.
        points: Formats that landmarks are written in, of `gracile.inference.result_files.POINT_FORMATS`.
        dicom_seg: Also write ``NAME.seg.dcm``, a DICOM Segmentation, of inputs in DICOM.
    """

    shard: Shard | None = None
    regions: Path | None = None
    probabilities: bool = False
    overwrite: bool = False
    measure: dict[str, Any] = field(default_factory=dict)
    video: VideoOptions = field(default_factory=VideoOptions)
    near: str = ""
    points: tuple[str, ...] = USUAL_POINTS
    dicom_seg: bool = False

    def settings(self, model: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
        """What all results of a run folder depend on, as plain data.

        What belongs to one input, as its vertebral levels do, is none of it: it stands in the input's own record.

        Args:
            model: What identifies the model: name and checksums.
            recipe: Its recipe.
        """
        settings: dict[str, Any] = {
            "gracile": VERSION,
            "model": model,
            "recipe": recipe.model_dump(mode="json"),
            "measure": {name: value for name, value in self.measure.items() if name not in OF_ONE_INPUT},
            "probabilities": self.probabilities,
        }
        if recipe.input.kind == "image":
            settings["video"] = self.video.as_settings()
        if set(self.points) != set(USUAL_POINTS):
            settings["points"] = sorted(self.points)
        if self.dicom_seg:
            settings["dicom_seg"] = True
        return settings


def require_fitting(options: Options, inputs: list[Input], recipe: Recipe, out: Path) -> None:
    """Raise UsageError for options that do not fit the inputs or the recipe, or masks that would lie among the inputs.

    There they would replace some, or be inputs next time.
    """
    if out.resolve() in {entry.folder.resolve() for entry in inputs if entry.folder is not None}:
        raise UsageError(f"The masks would lie among the inputs in {out}.", "Choose another --out.")
    require_known_settings(options.measure)
    if "disc" in options.measure and len(inputs) > 1:
        raise UsageError("An optic disc belongs to one picture.", "Predict one picture, or leave the disc to be found.")
    if options.dicom_seg:
        require_segmentations()
    if options.dicom_seg and not recipe.structures:
        raise UsageError(f"The recipe {recipe.name} gives no masks.", "Leave --dicom-seg out.")
    if options.dicom_seg and not any(is_dicom_input(entry) for entry in inputs):
        raise UsageError(
            "None of the inputs is in DICOM, as a DICOM Segmentation needs them.", "Leave --dicom-seg out."
        )
    if options.near and not any(spec.starts_near for spec in recipe.stages):
        raise UsageError(f"The recipe {recipe.name} scans no windows around a point.", "Leave --near out.")
    if options.near and not Path(options.near).is_dir():
        start_point(options.near, "")
    unknown = [form for form in options.points if form not in POINT_FORMATS]
    if unknown or not options.points:
        what = f"There is no format of points {unknown[0]!r}." if unknown else "No format of points is named."
        raise UsageError(what, f"Choose of: {', '.join(POINT_FORMATS)}.")
    if "levels" in options.measure and not Path(options.measure["levels"]).exists():
        raise UsageError(f"There are no vertebral levels {options.measure['levels']}.", "Check the name.")
    if "level_range" in options.measure and all(spec.name != "cord" for spec in recipe.measure):
        raise UsageError(f"The recipe {recipe.name} measures no cord.", "Leave --level-range out.")
    if options.regions and any(entry.kind == "volume" for entry in inputs):
        raise UsageError("A volume has no field of view.", "Leave --fov out.")
    _require_videos_for_truth(options, inputs, recipe.protocol)


def find_regions(inputs: list[Input], folder: Path | None) -> dict[Path, Path]:
    """The mask of the region of interest of each picture among inputs, by the picture.

    Raises:
        DataError: The folder lacks one.
    """
    if folder is None:
        return {}
    pairs = pair_files([entry.path for entry in inputs if entry.kind == "picture"], image_files(folder))
    missing = [image.name for image, region in pairs.items() if region is None]
    if missing:
        raise DataError(f"{folder} has no mask for {', '.join(missing[:5])}.", "Leave --fov out to find it by itself.")
    return {image: region for image, region in pairs.items() if region is not None}


def _require_videos_for_truth(options: Options, inputs: list[Input], protocol: str) -> None:
    """Raise UsageError when pictures or volumes would pass a folder of truth by unscored."""
    others = [entry for entry in inputs if entry.kind not in ("video", "camera")]
    if options.video.truth is not None and others:
        raise UsageError(
            f"--truth scores the frames of videos, and {others[0].path} is a {others[0].kind}.",
            f"Predict without it, then score the masks: gracile evaluate OUT LABELS --protocol {protocol}. "
            "A folder of pictures is a video as frames:FOLDER.",
        )
