"""DICOM Segmentations lie where their images do, to the voxel, and belong to them."""

import logging
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid
from scipy.spatial.transform import Rotation

from gracile.errors import DataError
from gracile.io import read_volume, read_volume_labels
from gracile.io.dicom import segmentations
from gracile.io.dicom.segmentations import write_segmentation
from gracile.recipe import ClassSpec
from tests.volumes_on_disk import LPS, PATIENT, write_series

CLASSES = [
    ClassSpec(name="background", color=(0, 0, 0)),
    ClassSpec(name="cord", color=(255, 80, 80)),
    ClassSpec(name="my own thing", color=(0, 255, 0)),
]
SHAPE = (7, 9, 5)


def affine_of(angles: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * (0.6, 0.8, 2.5)
    affine[:3, 3] = (-31.5, 12.25, 100.5)
    return affine


def mask_of(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Every class somewhere, nothing alike from any side, and the last slice empty."""
    mask = np.random.default_rng(3).choice(3, shape, p=(0.7, 0.2, 0.1)).astype(np.uint8)
    mask[..., -1] = 0
    return mask


def made(folder: Path, affine: np.ndarray, **tags: Any) -> Path:
    return write_series(folder, np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), affine, **tags)


@pytest.mark.parametrize("angles", [(0, 0, 0), (0, 90, 0), (25, -40, 70), (180, 10, -5)])
def test_a_mask_comes_back_voxel_for_voxel_in_the_same_place(tmp_path: Path, angles: Any) -> None:
    series = made(tmp_path / "series", affine_of(angles))
    case = read_volume(series, "a")
    mask = mask_of(case.grid.shape)
    write_segmentation(tmp_path / "a.seg.dcm", mask, CLASSES, series)

    seg = hd.seg.segread(tmp_path / "a.seg.dcm")
    source = pydicom.dcmread(next(series.iterdir()))
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert seg.PatientID == source.PatientID
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    volume = seg.get_volume(combine_segments=True)
    to_ras = LPS @ volume.affine
    back = np.zeros_like(mask)
    for index in np.argwhere(volume.array):
        place = np.linalg.solve(case.grid.affine, to_ras @ [*index, 1.0])[:3]
        assert np.abs(place - np.rint(place)).max() < 1e-3
        back[tuple(np.rint(place).astype(int))] = volume.array[tuple(index)]
    np.testing.assert_array_equal(back, mask)


def test_frames_name_the_images_that_they_lie_on(tmp_path: Path) -> None:
    series = made(tmp_path / "series", affine_of((25, -40, 70)))
    mask = mask_of()
    write_segmentation(tmp_path / "a.seg.dcm", mask, CLASSES, series)
    seg = hd.seg.segread(tmp_path / "a.seg.dcm")
    places = {}
    for path in series.iterdir():
        image = pydicom.dcmread(path)
        places[image.SOPInstanceUID] = np.array(image.ImagePositionPatient, dtype=float)
    assert {uid for _, _, uid in seg.get_source_image_uids()} == set(places)
    for groups in seg.PerFrameFunctionalGroupsSequence:
        (item,) = groups.DerivationImageSequence[0].SourceImageSequence
        own = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        np.testing.assert_allclose(own, places[item.ReferencedSOPInstanceUID], atol=1e-4)


def test_segments_say_in_codes_what_they_are_where_that_is_known(tmp_path: Path) -> None:
    series = made(tmp_path / "series", affine_of((0, 0, 0)))
    write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, series, title="Spinal cord in MR")
    seg = hd.seg.segread(tmp_path / "a.seg.dcm")
    cord, other = (seg.get_segment_description(number) for number in (1, 2))
    assert (cord.segment_label, other.segment_label) == ("cord", "my own thing")
    assert (cord.segmented_property_type.value, cord.segmented_property_type.scheme_designator) == ("2748008", "SCT")
    assert cord.segmented_property_category.meaning == "Anatomical Structure"
    assert other.segmented_property_type.meaning == "Tissue"
    assert cord.SegmentAlgorithmType == "AUTOMATIC"
    assert seg.SeriesDescription == "Gracile: Spinal cord in MR"


def test_an_empty_mask_is_written_as_such(tmp_path: Path) -> None:
    series = made(tmp_path / "series", affine_of((0, 0, 0)))
    write_segmentation(tmp_path / "a.seg.dcm", np.zeros(SHAPE, np.uint8), CLASSES, series)
    assert not hd.seg.segread(tmp_path / "a.seg.dcm").pixel_array.any()


def write_picture(path: Path, rows: int = 12, columns: int = 16, **tags: Any) -> Path:
    """An ultrasound frame: no place in the patient, RGB."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UltrasoundImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = generate_uid(), generate_uid(), "US"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 3
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = np.full((rows, columns, 3), 90, np.uint8).tobytes()
    for name, value in {**PATIENT, **tags}.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_picture_without_a_place_in_the_patient_gets_a_segmentation_of_its_pixels(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "frame.dcm")
    mask = np.random.default_rng(0).integers(0, 3, (12, 16)).astype(np.uint8)
    write_segmentation(tmp_path / "a.seg.dcm", mask, CLASSES, picture)
    seg = hd.seg.segread(tmp_path / "a.seg.dcm")
    uid = pydicom.dcmread(picture).SOPInstanceUID
    back = seg.get_pixels_by_source_instance([uid], combine_segments=True)[0]
    np.testing.assert_array_equal(back, mask)
    assert "FrameOfReferenceUID" not in seg


def test_images_that_cannot_have_one_are_refused_in_words(tmp_path: Path) -> None:
    lost = made(tmp_path / "lost", affine_of((0, 0, 0)), FrameOfReferenceUID="")
    with pytest.raises(DataError, match="no frame of reference"):
        write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, lost)
    alone = made(tmp_path / "alone", affine_of((0, 0, 0)), StudyInstanceUID="")
    with pytest.raises(DataError, match="does not name its study"):
        write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, alone)
    other = made(tmp_path / "other", affine_of((0, 0, 0)))
    with pytest.raises(DataError, match="9 x 7 pixels, the mask 4 x 7"):
        write_segmentation(tmp_path / "a.seg.dcm", mask_of((7, 4, 5)), CLASSES, other)
    assert list(tmp_path.glob("*.dcm")) == []


def test_patients_come_into_no_log_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    odd = {"PatientName": "Doe, Jane of the very long name " * 3, "PatientSex": "W", "PatientBirthDate": "19700101"}
    with caplog.at_level(logging.DEBUG):
        series = made(tmp_path / "series", affine_of((0, 0, 0)), **odd)
        caplog.clear()
        recwarn.clear()
        write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, series)
    said = caplog.text + "".join(capsys.readouterr()) + "".join(str(w.message) for w in recwarn)
    assert "Jane" not in said
    assert "1970" not in said
    assert pydicom.dcmread(tmp_path / "a.seg.dcm").PatientSex == ""


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("", "Doe^J"),
        ("ISO_IR 6", "Doe^J"),
        ("ISO_IR 100", "Buc^Jérôme"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 9999", "Doe^J"),
    ],
)
def test_images_of_every_character_set_get_a_segmentation_with_the_same_name(
    tmp_path: Path, charset: Any, name: str
) -> None:
    series = made(tmp_path / "series", affine_of((0, 0, 0)))
    for path in series.iterdir():
        image = pydicom.dcmread(path)
        image.SpecificCharacterSet, image.PatientName = charset, name
        image.save_as(path)
    write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, series)
    assert pydicom.dcmread(tmp_path / "a.seg.dcm").PatientName == name


def test_bytes_that_are_no_text_of_the_character_set_keep_no_segmentation_from_being_written(tmp_path: Path) -> None:
    series = made(tmp_path / "series", affine_of((0, 0, 0)), PatientName="Buc^J", SpecificCharacterSet="ISO_IR 192")
    for path in series.iterdir():
        path.write_bytes(path.read_bytes().replace(b"Buc^J", b"Buc^\xe9"))
    write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, series)
    assert str(pydicom.dcmread(tmp_path / "a.seg.dcm").PatientName).startswith("Buc^")


@pytest.mark.parametrize("angles", [(0, 0, 0), (0, 90, 0), (25, -40, 70)])
def test_a_segmentation_is_read_as_the_labels_that_were_written(tmp_path: Path, angles: Any) -> None:
    series = made(tmp_path / "series", affine_of(angles))
    grid = read_volume(series, "a").grid
    mask = mask_of()
    mask[0, 0] = 1  # a segmentation has frames only where something is
    write_segmentation(tmp_path / "a.seg.dcm", mask, CLASSES, series)
    labels = read_volume_labels(tmp_path / "a.seg.dcm", CLASSES, grid)
    np.testing.assert_array_equal(labels.values, mask)


def test_segments_that_overlap_are_refused_as_labels(tmp_path: Path) -> None:
    series = made(tmp_path / "series", affine_of((0, 0, 0)))
    images = [segmentations._read(path, (SHAPE[1], SHAPE[0]), volume=True) for path in series.iterdir()]
    both = np.ones((len(images), SHAPE[1], SHAPE[0], 2), np.uint8)
    segmentations._segmentation(both, CLASSES, images, "").save_as(tmp_path / "a.seg.dcm")
    with pytest.raises(DataError, match="its segments overlap"):
        read_volume_labels(tmp_path / "a.seg.dcm", CLASSES)


def test_frames_too_far_apart_for_a_volume_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.seg.dcm"
    write_segmentation(path, mask_of(), CLASSES, made(tmp_path / "series", affine_of((0, 0, 0))))
    dataset = pydicom.dcmread(path)
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        place = groups.PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        place.ImagePositionPatient = [x, y, z + 1e9 * (z > 107)]
    dataset.save_as(path)
    with pytest.raises(DataError, match="more than the limit"):
        read_volume_labels(path, CLASSES)


def test_without_highdicom_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = made(tmp_path / "series", affine_of((0, 0, 0)))
    write_segmentation(tmp_path / "a.seg.dcm", mask_of(), CLASSES, series)
    monkeypatch.setattr(segmentations, "find_spec", lambda name: None)
    for refused in (
        lambda: write_segmentation(tmp_path / "b.seg.dcm", mask_of(), CLASSES, series),
        lambda: read_volume_labels(tmp_path / "a.seg.dcm", CLASSES),
    ):
        with pytest.raises(DataError, match=r"highdicom.*pip install 'gracile\[dicom-seg\]'"):
            refused()
    assert not (tmp_path / "b.seg.dcm").exists()
    assert not segmentations.has_segmentations()
