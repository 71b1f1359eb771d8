"""DICOM Segmentation objects (DICOM PS3.3 A.51): read as labels, and written over the images that a mask was found in.

An object belongs to its images' patient, study and frame of reference and so bears the patient's name, as DICOM asks
for it. Nothing of that comes into a message or a log.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gracile.errors import DataError
from gracile.io.atomic import writing
from gracile.io.dicom.decoders import decoder_of
from gracile.io.dicom.fields import SEGMENTATION_CLASS, frame_count, words
from gracile.io.dicom.files import VIEWER, private_parsing, read_dataset
from gracile.io.dicom.series import ordered_slices
from gracile.io.voxels import MAX_VOXELS, Voxels, require_affine, require_true_size
from gracile.names import VERSION

SUFFIX = ".seg.dcm"

_ANATOMY = "AnatomicalStructure"
_OBJECT = "PhysicalObject"
CODED: dict[str, tuple[str, str]] = {
    "artery": (_ANATOMY, "Artery"),
    "vein": (_ANATOMY, "Vein"),
    "vessel": (_ANATOMY, "BloodVessel"),
    "nerve": (_ANATOMY, "Nerve"),
    "cord": (_ANATOMY, "SpinalCord"),
    "spinal cord": (_ANATOMY, "SpinalCord"),
    "tool": (_OBJECT, "InstrumentDevice"),
}
"""Category and type of what a class of a name is, by their keywords in SNOMED CT (DICOM PS3.16, CID 7150 and 7151)."""

_UNKNOWN = ("Tissue", "Tissue")
_EMPTY_IF_ABSENT = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime",
)  # fmt: skip
_SEXES = ("M", "F", "O", "")
_SERIES_NUMBER = 1000
_UNEVEN = 0.05


class Segment(Protocol):
    """What is told of a class."""

    @property
    def name(self) -> str: ...

    @property
    def color(self) -> Sequence[int]: ...


def has_segmentations() -> bool:
    """Whether highdicom is installed, without which no segmentation is read or written."""
    return find_spec("highdicom") is not None


def require_segmentations() -> None:
    """Raise DataError where highdicom is not installed."""
    if not has_segmentations():
        raise DataError("DICOM Segmentations need highdicom.", "Install it: pip install 'gracile[dicom-seg]'.")


def write_segmentation(
    path: Path | str,
    mask: np.ndarray,
    classes: Sequence[Segment],
    source: Path | str,
    *,
    title: str = "",
    series: str = "",
) -> None:
    """Write a mask as a binary DICOM Segmentation: a segment for each class, numbered as it, whole or not at all.

    Its frames lie where the images do, to the voxel, and name them. A picture without a frame of reference, such as an
    ultrasound frame, gets a segmentation without one.

    Args:
        path: File to write.
        mask: Class indices, ``(columns, rows, slices)`` as `read_series` has them, or ``(rows, columns)`` of a picture.
        classes: The classes by index, the background first.
        source: A series' folder or one of its files, or the file of a picture.
        title: What was looked for; becomes the series' description.
        series: Number or UID of the series that is meant, where the folder holds several.

    Raises:
        DataError: The images name no study or, of a volume, no frame of reference; the mask does not fit; the file
            cannot be written; or highdicom is not installed.
    """
    require_segmentations()
    path, source = Path(path), Path(source)
    if mask.ndim == 2:
        files, frames = [source], mask[None]
    else:
        slices = ordered_slices(source, series)
        files, frames = list(dict.fromkeys(one.path for one in slices)), mask.transpose(2, 1, 0)
        if len(files) < len(slices) == len(frames):  # of one enhanced file, whose frames have an order of their own
            frames = frames[np.argsort([one.frame for one in slices])]
    with private_parsing(source):
        images = [_read(file, frames.shape[1:], volume=mask.ndim == 3) for file in files]
        if sum(int(image.get("NumberOfFrames") or 1) for image in images) != len(frames):
            raise DataError(f"{path}: a mask of {len(frames)} slices does not fit {len(images)} images.")
        content = _segmentation(np.ascontiguousarray(frames, dtype=np.uint8), classes, images, title)
    with writing(path) as part:
        content.save_as(part)


def is_segmentation(path: Path) -> bool:
    """Whether a DICOM file is a segmentation."""
    try:
        return words(read_dataset(path, ["SOPClassUID"], pixels=False), "SOPClassUID") == SEGMENTATION_CLASS
    except DataError:
        return False


def read_segmentation(path: Path) -> Voxels:
    """Read a DICOM Segmentation as a label volume, its segments' numbers as values.

    Axes are columns, rows and slices. It covers the slices that it has frames of, and those between them.

    Raises:
        DataError: It is damaged, its segments overlap, it does not lie in a volume, or highdicom is not installed.
    """
    require_segmentations()
    import highdicom as hd

    with private_parsing(path):
        dataset = read_dataset(path)
        shape = (int(dataset.Columns), int(dataset.Rows), frame_count(path, dataset))
        require_true_size(path, shape, 1, path.stat().st_size, compressed=True)
        if plugin := decoder_of(path, dataset):
            dataset.decompress(decoding_plugin=plugin, as_rgb=False)
        seg = hd.seg.Segmentation.from_dataset(dataset, copy=False)
        try:
            if geometry := seg.get_volume_geometry(allow_missing_positions=True, rtol=_UNEVEN):  # slices it has none of
                require_true_size(path, geometry.spatial_shape, 1, MAX_VOXELS, compressed=True)
            volume = seg.get_volume(combine_segments=True, allow_missing_positions=True, rtol=_UNEVEN)
        except RuntimeError:
            raise DataError(
                f"{path} does not give one label for each voxel: its segments overlap, or lie in no regular volume.",
                "Export it as a label volume, such as NIfTI.",
            ) from None
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine[:, [2, 1, 0, 3]]
    require_affine(path, affine, VIEWER)
    return Voxels(np.ascontiguousarray(volume.array.transpose(2, 1, 0)), affine)


def _read(path: Path, shape: tuple[int, ...], volume: bool) -> Any:
    """An image's header, with what the standard wants to be there at least empty, and its words in UTF-8."""
    image = read_dataset(path, pixels=False)
    if not image.get("StudyInstanceUID") or not image.get("SOPInstanceUID"):
        raise DataError(f"{path} does not name its study and itself by UIDs.", "Export the images again.")
    if volume and not image.get("FrameOfReferenceUID"):
        raise DataError(f"{path} names no frame of reference.", "Use the mask in NIfTI, or export the images again.")
    if (image.Rows, image.Columns) != shape:
        raise DataError(f"{path} has {image.Rows} x {image.Columns} pixels, the mask {shape[0]} x {shape[1]}.")
    for name in _EMPTY_IF_ABSENT:
        if name not in image:
            setattr(image, name, None)
    if image.PatientSex not in (*_SEXES, None):
        image.PatientSex = ""
    if "SliceThickness" not in image and "ImagePositionPatient" in image:
        image.SliceThickness = image.get("SpacingBetweenSlices") or 1
    image.decode()  # by the character set that it names, or the standard's where it names none
    image.SpecificCharacterSet = "ISO_IR 192"
    return image


def _segmentation(frames: np.ndarray, classes: Sequence[Segment], images: list[Any], title: str) -> Any:
    import highdicom as hd
    from pydicom.uid import ExplicitVRLittleEndian

    number = int(images[0].get("SeriesNumber") or 0)
    return hd.seg.Segmentation(
        source_images=images,
        pixel_array=frames,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(index, spec) for index, spec in enumerate(classes) if index],
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER + max(number, 0),
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Gracile",
        manufacturer_model_name="Gracile",
        software_versions=VERSION,
        device_serial_number="0",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="SEGMENTATION",
        content_description=title[:64] or None,
        series_description=f"Gracile: {title}"[:64] if title else "Gracile",
    )


def _description(index: int, spec: Segment) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    category, kind = CODED.get(spec.name.lower(), _UNKNOWN)
    red, green, blue = spec.color
    return hd.seg.SegmentDescription(
        segment_number=index,
        segment_label=spec.name[:64],
        segmented_property_category=getattr(codes.SCT, category),
        segmented_property_type=getattr(codes.SCT, kind),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="Gracile", family=codes.DCM.ArtificialIntelligence, version=VERSION
        ),
        display_color=hd.color.CIELabColor.from_rgb(red, green, blue),
    )
