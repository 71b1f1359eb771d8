"""Values of labels that count for nothing: told as 255 where they are asked for, background everywhere else."""

import numpy as np
import pytest
from PIL import Image

from gracile.errors import DataError
from gracile.io import read_labels, read_volume_labels
from gracile.recipe import ClassSpec
from tests.volumes_on_disk import write_nifti

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def classes(*ignored: int, values: bool = False) -> list[ClassSpec]:
    codes = {"background": [7], "nerve": [40]} if values else {"background": [], "nerve": []}
    return [
        ClassSpec(name="background", color=(0, 0, 0), values=codes["background"], ignored=list(ignored)),
        ClassSpec(name="nerve", color=(255, 0, 0), values=codes["nerve"]),
    ]


@pytest.mark.parametrize("left_out", [2, 255])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_an_ignored_value_of_a_picture_is_told_as_255(tmp_path, left_out, suffix):
    labels = np.array([[0, 1, left_out], [left_out, 1, 0]], np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(labels).save(path)
    np.testing.assert_array_equal(read_labels(path, classes(left_out), ignored=True), [[0, 1, 255], [255, 1, 0]])
    np.testing.assert_array_equal(read_labels(path, classes(left_out)), [[0, 1, 0], [0, 1, 0]])


def test_beside_the_two_values_of_a_mask_a_third_may_be_ignored(tmp_path):
    Image.fromarray(np.array([[0, 255, 128]], np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png", classes(128), ignored=True), [[0, 1, 255]])


def test_a_palette_s_index_may_be_ignored_whatever_its_color(tmp_path):
    picture = Image.fromarray(np.array([[0, 1, 255]], np.uint8), mode="P")
    palette = np.zeros((256, 3), np.uint8)
    palette[1], palette[255] = (255, 0, 0), (224, 224, 192)
    picture.putpalette(palette.ravel().tolist())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png", classes(255), ignored=True), [[0, 1, 255]])


def test_declared_values_and_ignored_ones_go_together(tmp_path):
    Image.fromarray(np.array([[7, 40, 99]], np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_labels(tmp_path / "a.png", classes(99, values=True), ignored=True), [[0, 1, 255]]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_an_ignored_value_of_a_volume_is_told_as_255(tmp_path, dtype):
    labels = np.zeros((4, 5, 6), dtype)
    labels[1], labels[2] = 1, 3
    path = write_nifti(tmp_path / "a.nii.gz", labels, AFFINE)
    found = read_volume_labels(path, classes(3), ignored=True).values
    assert found.dtype == np.uint8
    assert [int(found[plane].max()) for plane in range(4)] == [0, 1, 255, 0]
    assert read_volume_labels(path, classes(3)).values.max() == 1


def test_a_mask_that_a_program_wrote_ignores_nothing(tmp_path):
    Image.fromarray(np.array([[0, 2]], np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="no class has: 2"):
        read_labels(tmp_path / "a.png", classes(2), recoded=False, ignored=True)


def test_more_classes_than_8_bits_tell_apart_are_refused_with_the_limit(tmp_path):
    many = [ClassSpec(name=f"c{number}", color=(1, 1, 1)) for number in range(501)]
    path = write_nifti(tmp_path / "a.nii.gz", np.full((4, 4, 4), 400, np.int16), AFFINE)
    with pytest.raises(DataError, match="500 classes besides the background: masks of 8 bits tell 254 apart"):
        read_volume_labels(path, many)


def test_254_classes_are_read(tmp_path):
    many = [ClassSpec(name=f"c{number}", color=(1, 1, 1)) for number in range(255)]
    values = np.arange(256).clip(0, 254).reshape(4, 8, 8).astype(np.int16)
    np.testing.assert_array_equal(
        read_volume_labels(write_nifti(tmp_path / "a.nii", values, AFFINE), many).values, values
    )


def test_many_values_that_no_class_has_are_not_called_a_picture(tmp_path):
    values = np.arange(64).reshape(4, 4, 4).astype(np.int16)
    with pytest.raises(DataError) as caught:
        read_volume_labels(write_nifti(tmp_path / "a.nii", values, AFFINE), classes())
    assert "up to 254 classes" in caught.value.remedy
