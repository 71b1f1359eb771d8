"""Sound files of every format that strangers bring, small, with what reads each."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import h5py
import nibabel
import nrrd
import numpy as np
from PIL import Image
from pydicom import DataElement, dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from gracile.data import find_cases
from gracile.data.case_files import case_names
from gracile.data.check import check_cases
from gracile.data.kaggle import import_run_lengths
from gracile.data.listing import Listing
from gracile.evaluation.class_sources import read_answers
from gracile.evaluation.tables import read_groups
from gracile.geometry import Grid, PointList
from gracile.inference.frames import ClipTruth
from gracile.inference.start_points import start_point
from gracile.io import read_case_file, read_labels, read_points, read_volume, read_volume_labels, write_points
from gracile.io.dicom.segmentations import write_segmentation
from gracile.io.keras_weights import read_keras_layers
from gracile.io.kinds import kind_of
from gracile.io.nnlandmark import read_nnlandmark
from gracile.io.pictures import read_sidecar
from gracile.io.video import open_video
from gracile.io.video_writing import write_video
from gracile.recipe import InputSpec, read_recipe
from gracile.serve.unpacking import unpack_series
from gracile.study import read_study

PICTURES, CLASSES = read_recipe("nerve-ultrasound"), read_recipe("nerve-ultrasound").classes
VOLUMES = InputSpec(kind="volume")
LANDMARKS = read_recipe("skull-landmarks")
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


@dataclass(frozen=True)
class Subject:
    """What is mutated: a file in a folder of sound ones.

    Args:
        file: The file, relative to the folder.
        form: What may go wrong with it, see `mutations.mutated`.
        read: Reads it from the folder, as the tool does.
    """

    file: str
    form: str
    read: Callable[[Path], object]


def picture(size: tuple[int, int] = (24, 20)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)


def volume() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 100, (9, 8, 6)).astype(np.int16)


def write_all(folder: Path) -> dict[str, Subject]:
    """Write a sound file of each format into a folder of its own; gives what is mutated by the name of its kind."""
    makers = (_pictures, _masks, _volumes, _dicom, _clips, _tables, _points, _recipes, _others)
    return {name: subject for make in makers for name, subject in make(folder).items()}


def _place(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    return folder / name


def _pictures(folder: Path) -> dict[str, Subject]:
    found = {}
    ways: dict[str, dict[str, object]] = {
        "png": {}, "jpg": {"quality": 90}, "tif": {}, "bmp": {}, "gif": {}, "webp": {"lossless": True},
        "tiff": {"compression": "tiff_lzw"},
    }  # fmt: skip
    for suffix, options in ways.items():
        Image.fromarray(picture()).save(_place(folder, f"picture-{suffix}") / f"a.{suffix}", **options)
        found[f"picture-{suffix}"] = Subject(
            f"a.{suffix}", "bytes", lambda at, s=suffix: read_case_file(at / f"a.{s}", "a")
        )
    pages = [Image.fromarray(picture(size)) for size in ((6, 5), (24, 20), (22, 24))]
    pages[0].save(_place(folder, "picture-pages") / "a.tif", save_all=True, append_images=pages[1:])
    found["picture-pages"] = Subject("a.tif", "bytes", lambda at: read_case_file(at / "a.tif", "a"))
    place = _place(folder, "sidecar")
    Image.fromarray(picture()).save(place / "a.png")
    (place / "a.json").write_text('{"pixel_spacing_mm": [0.1, 0.1], "by": {"hand": [1, 2]}}')
    return found | {"sidecar": Subject("a.json", "json", lambda at: read_sidecar(at / "a.png"))}


def _masks(folder: Path) -> dict[str, Subject]:
    found = {}
    for suffix in ("png", "tif"):
        mask = (picture()[..., 0] > 128).astype(np.uint8)
        Image.fromarray(mask).save(_place(folder, f"mask-{suffix}") / f"a.{suffix}")
        found[f"mask-{suffix}"] = Subject(
            f"a.{suffix}", "bytes", lambda at, s=suffix: read_labels(at / f"a.{s}", CLASSES)
        )
    return found


def _volumes(folder: Path) -> dict[str, Subject]:
    found = {}
    for suffix, form in (("nii", "bytes"), ("nii.gz", "gz"), ("nrrd", "bytes"), ("mha", "bytes")):
        path = _place(folder, f"volume-{suffix}") / f"a.{suffix}"
        if suffix.startswith("nii"):
            nibabel.save(nibabel.Nifti1Image(volume(), AFFINE), path)
        elif suffix == "nrrd":
            nrrd.write(str(path), volume(), {"space": "left-posterior-superior", "space origin": [0, 0, 0],
                       "space directions": np.diag([1.0, 1, 2]), "encoding": "gzip"})  # fmt: skip
            path.write_bytes(re.sub(rb"# on [^\n]*\n", b"", path.read_bytes()))  # the time
        else:
            head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            head += (
                "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 2\n"
            )
            head += "DimSize = 9 8 6\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
            path.write_bytes(head.encode() + volume().tobytes(order="F"))
        found[f"volume-{suffix}"] = Subject(f"a.{suffix}", form, lambda at, s=suffix: read_volume(at / f"a.{s}", "a"))
    path = _place(folder, "volume-labels") / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image((volume() > 90).astype(np.uint8), AFFINE), path)
    return found | {"volume-labels": Subject("a.nii.gz", "gz", lambda at: read_volume_labels(at / "a.nii.gz", CLASSES))}


def write_series(folder: Path) -> None:
    """A DICOM series of six slices."""
    series, study, frame = (generate_uid(entropy_srcs=[what]) for what in ("series", "study", "frame"))
    for index in range(6):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=[str(index)])
        data.PatientName, data.PatientID, data.Modality = "Doe^Jane", "MRN-4711", "MR"
        data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = series, study, frame
        data.SeriesNumber, data.InstanceNumber, data.Columns, data.Rows = 1, index + 1, 9, 8
        data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 2 * index], [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.SliceThickness, data.RescaleSlope, data.RescaleIntercept = [1, 1], 2, 1, 0
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelData = volume()[:, :, index].tobytes(order="F")
        data.save_as(folder / f"{index}.dcm", enforce_file_format=True)


def _fix(path: Path) -> None:
    """Give a DICOM file that was made with names and times of its own the same ones in every campaign."""
    data = dcmread(path)
    names: dict[str, str] = {}

    def fix(_: Dataset, element: DataElement) -> None:
        if element.VR == "UI" and str(element.value).startswith(("1.2.826.0.1.3680043", "2.25.")):
            element.value = names.setdefault(element.value, generate_uid(entropy_srcs=["own", str(len(names))]))
        elif element.VR in ("DA", "TM", "DT") and element.value:
            element.value = {"DA": "20260101", "TM": "120000", "DT": "20260101120000"}[element.VR]

    data.walk(fix)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path)


def _dicom(folder: Path) -> dict[str, Subject]:
    for name in ("dicom-series", "dicom-picture", "dicom-deflated", "dicom-seg"):
        write_series(_place(folder, name))
    deflated = dcmread(folder / "dicom-deflated" / "2.dcm")
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated.save_as(folder / "dicom-deflated" / "2.dcm")
    write_segmentation(
        folder / "dicom-seg" / "a.seg.dcm", (volume() > 90).astype(np.uint8), CLASSES, folder / "dicom-seg" / "0.dcm"
    )
    _fix(folder / "dicom-seg" / "a.seg.dcm")
    return {
        "dicom-series": Subject("2.dcm", "bytes", lambda at: read_case_file(at, "a", VOLUMES)),
        "dicom-picture": Subject("2.dcm", "bytes", lambda at: read_case_file(at / "2.dcm", "a")),
        "dicom-deflated": Subject("2.dcm", "deflated", lambda at: read_case_file(at, "a", VOLUMES)),
        "dicom-seg": Subject("a.seg.dcm", "bytes", lambda at: read_volume_labels(at / "a.seg.dcm", CLASSES)),
    }


def _clips(folder: Path) -> dict[str, Subject]:
    def watched(path: Path) -> None:
        with open_video(path) as video:
            for _ in video:
                pass

    found = {}
    for suffix in ("mp4", "avi"):
        path = _place(folder, f"clip-{suffix}") / f"a.{suffix}"
        with write_video(path, (24, 32), Fraction(10), Fraction(1, 10)) as writer:
            for index in range(4):
                writer.write(picture((24, 32)), index)
        found[f"clip-{suffix}"] = Subject(f"a.{suffix}", "bytes", lambda at, s=suffix: watched(at / f"a.{s}"))
    place = _place(folder, "frames-table")
    for index in range(2):
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(place / f"{index}.png")
    (place / "frames.csv").write_text("frame,name\n0,0.png\n4,1.png\n")
    return found | {"frames-table": Subject("frames.csv", "csv", lambda at: ClipTruth(at, "a", PICTURES))}


def _checked(found: object) -> None:
    if isinstance(found, Listing):
        found = found.cases
    check_cases(found, PICTURES)  # type: ignore[arg-type]


def _tables(folder: Path) -> dict[str, Subject]:
    for name, text in {
        "paths-table": "image,label,subject\na.png,b.png,1\nc.png,b.png,2\n",
        "run-lengths": "img,pixels\n1_1,3 4 20 5\n1_2,\n",
        "groups-table": "name,group\na,1\nb,2\n",
        "classes-table": "name,present\na,0.5\nb,0.25\n",
    }.items():
        (_place(folder, name) / "a.csv").write_text(text)
    for name in "ac":
        Image.fromarray(picture()).save(folder / "paths-table" / f"{name}.png")
    Image.fromarray((picture()[..., 0] > 128).astype(np.uint8)).save(folder / "paths-table" / "b.png")
    return {
        "paths-table": Subject("a.csv", "csv", lambda at: _checked(find_cases(at / "a.csv", PICTURES))),
        "run-lengths": Subject("a.csv", "csv", lambda at: import_run_lengths(at / "a.csv", (9, 9), at / "out")),
        "groups-table": Subject("a.csv", "csv", lambda at: read_groups(at / "a.csv", ["a", "b"])),
        "classes-table": Subject("a.csv", "csv", lambda at: read_answers(at / "a.csv")),
    }


def _points(folder: Path) -> dict[str, Subject]:
    points = PointList(np.arange(6.0).reshape(2, 3), ["a", "b"], name="p", probabilities=np.array([0.5, 1]))
    for suffix in ("mrk.json", "fcsv", "csv"):
        write_points(_place(folder, f"points-{suffix}") / f"a.{suffix}", points)
    place = _place(folder, "nnlandmark")
    (place / "all.json").write_text(json.dumps({"c1": {"a": [1, 2, 3], "b": [2, 2, 2]}}))
    place = _place(folder, "dataset-json")
    (place / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "nerve": 1, "vessel": 2}, "file_ending": ".png"})
    )
    for name in ("imagesTr/a_0000.png", "labelsTr/a.png"):
        (place / name).parent.mkdir()
        Image.fromarray((picture()[..., 0] > 128).astype(np.uint8)).save(place / name)
    return {
        **{
            f"points-{suffix}": Subject(
                f"a.{suffix}",
                form,
                lambda at, s=suffix: (read_points(at / f"a.{s}"), start_point(str(at / f"a.{s}"), "a")),
            )
            for suffix, form in (("mrk.json", "json"), ("fcsv", "csv"), ("csv", "csv"))
        },
        "nnlandmark": Subject("all.json", "json", lambda at: read_nnlandmark(at / "all.json", {"c1": np.eye(4)})),
        "dataset-json": Subject("dataset.json", "json", lambda at: find_cases(at, PICTURES)),
    }


def _recipes(folder: Path) -> dict[str, Subject]:
    (_place(folder, "recipe") / "a.yaml").write_text(read_recipe("retina-av").to_yaml())
    (_place(folder, "study") / "a.yaml").write_text(read_study("learning-rate").to_yaml())
    (_place(folder, "setting") / "a.txt").write_text("[8, 12, {a: 3}]")

    def setting(at: Path) -> None:
        value = (at / "a.txt").read_text(encoding="utf-8", errors="surrogateescape")
        read_recipe("retina-av", [f"stages.vessels.network.options.widths={value}"])

    return {
        "recipe": Subject("a.yaml", "yaml", lambda at: read_recipe(at / "a.yaml").to_yaml()),
        "study": Subject("a.yaml", "yaml", lambda at: read_study(at / "a.yaml").to_yaml()),
        "setting": Subject("a.txt", "yaml", setting),
    }


def _others(folder: Path) -> dict[str, Subject]:
    (_place(folder, "case-names") / "a.json").write_text('["33", "42"]')
    with h5py.File(_place(folder, "keras") / "a.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"config": {"layers": [
            {"class_name": "Dense", "config": {"name": "dense", "units": 2}}]}})  # fmt: skip
        file.create_dataset("model_weights/dense/dense/kernel:0", data=np.ones((3, 2)))
    place = _place(folder, "upload-zip")
    (place / "series").mkdir()
    write_series(place / "series")
    with zipfile.ZipFile(place / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((place / "series").iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    shutil.copytree(place, folder / "upload-kind")
    return {
        "case-names": Subject("a.json", "json", lambda at: case_names(str(at / "a.json"))),
        "keras": Subject("a.h5", "bytes", lambda at: read_keras_layers(at / "a.h5")),
        "upload-zip": Subject("a.zip", "zip", lambda at: unpack_series(at / "a.zip", at / "out", 2**20)),
        "upload-kind": Subject("a.zip", "bytes", lambda at: kind_of(at / "a.zip")),
    }


TYPE_NAME = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Warning)\b")
"""What no reason may hold."""

GRID = Grid((9, 8, 6), affine=AFFINE)
