"""Labels lie on their image's voxels, whatever way their file runs, or they are refused."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io import read_volume, read_volume_labels
from gracile.recipe import ClassSpec
from tests.volumes_on_disk import FORMATS, oblique_affines, write_nifti

SHAPE = (4, 5, 6)
RAS = np.array([[0.5, 0, 0, -20.0], [0, 0.7, 0, -30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])
GRID = Grid(SHAPE, RAS)
CORD = [ClassSpec(name="background", color=(0, 0, 0)), ClassSpec(name="cord", color=(255, 0, 0))]
TRUTH = (np.random.default_rng(0).random(SHAPE) > 0.7).astype(np.uint8)


@settings(max_examples=25)
@given(oblique_affines(), st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_labels_with_other_axes_are_turned_to_the_image(tmp_path_factory, affine, axes, signs):
    orientation = np.column_stack([axes, signs])
    other = nib.orientations.apply_orientation(TRUTH, orientation)
    place = affine @ nib.orientations.inv_ornt_aff(orientation, SHAPE)
    path = write_nifti(tmp_path_factory.mktemp("labels") / "a_seg.nii.gz", other, place)
    labels = read_volume_labels(path, CORD, Grid(SHAPE, affine))
    np.testing.assert_array_equal(labels.values, TRUTH)
    assert labels.values.dtype == np.uint8
    assert bool(labels.notes) == (list(axes) != [0, 1, 2] or -1 in signs)


@pytest.mark.parametrize("name", FORMATS)
def test_labels_may_have_another_format_than_their_image(tmp_path, name):
    image = read_volume(FORMATS[name](tmp_path, TRUTH.astype(np.int16), RAS), "a")
    label = write_nifti(tmp_path / "label.nii.gz", TRUTH, RAS)
    labels = read_volume_labels(label, CORD, image.grid)
    np.testing.assert_array_equal(labels.values, image.image[0])


@pytest.mark.parametrize(
    ("shape", "shift", "reason"),
    [((4, 5, 7), 0.5, "4 x 5 x 7 voxels, not 4 x 5 x 6"), (SHAPE, 3.0, r"middle lies 3\.0 mm away")],
)
def test_labels_on_another_grid_are_refused(tmp_path, shape, shift, reason):
    place = RAS.copy()
    place[0, 3] += shift
    with pytest.raises(DataError, match=reason) as caught:
        read_volume_labels(write_nifti(tmp_path / "a.nii", np.zeros(shape, np.uint8), place), CORD, GRID)
    assert "Resample" in caught.value.remedy


def test_a_label_on_a_part_of_the_lattice_is_put_in_its_place_and_said(tmp_path):
    place = RAS.copy()
    place[:3, 3] += RAS[:3, :3] @ [1, 0, 2]
    labels = read_volume_labels(write_nifti(tmp_path / "a.nii", TRUTH[1:, :, 2:5], place), CORD, GRID)
    wanted = np.zeros_like(TRUTH)
    wanted[1:, :, 2:5] = TRUTH[1:, :, 2:5]
    np.testing.assert_array_equal(labels.values, wanted)
    assert labels.notes == ["the label is on a part of the lattice of the image: it was put in its place"]


@pytest.mark.parametrize("coding", [1, 255, 1.0, True])
def test_binary_codings_are_accepted(tmp_path, coding):
    values = TRUTH * np.array(coding, np.float32 if isinstance(coding, float) else np.uint8)
    labels = read_volume_labels(write_nifti(tmp_path / "a.nii", values, RAS), CORD, GRID)
    np.testing.assert_array_equal(labels.values, TRUTH)
    assert not labels.notes


def test_scaled_labels_are_read_to_the_whole_number(tmp_path):
    path = write_nifti(tmp_path / "a.nii", TRUTH * np.uint8(255), RAS)
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([1 / 255, 0], "<f4").tobytes()
    path.write_bytes(data)
    np.testing.assert_array_equal(read_volume_labels(path, CORD, GRID).values, TRUTH)


def test_declared_values_name_the_classes(tmp_path):
    levels = [
        ClassSpec(name="background", color=(0, 0, 0), values=[0]),
        ClassSpec(name="cervical", color=(255, 0, 0), values=[3, 4]),
        ClassSpec(name="thoracic", color=(0, 255, 0), values=[-8]),
    ]
    values = np.random.default_rng(1).choice([0, 3, 4, -8], SHAPE).astype(np.int16)
    labels = read_volume_labels(write_nifti(tmp_path / "a.nii", values, RAS), levels, GRID)
    np.testing.assert_array_equal(labels.values, np.select([values > 0, values < 0], [1, 2], 0))
    with pytest.raises(DataError, match=r"1 \(\d+ voxels\)"):
        read_volume_labels(write_nifti(tmp_path / "b.nii", TRUTH, RAS), levels, GRID)


def test_unknown_values_are_named_with_their_number(tmp_path):
    values = TRUTH.copy()
    values[0, 0, :2] = 7
    with pytest.raises(DataError, match=r"7 \(2 voxels\)"):
        read_volume_labels(write_nifti(tmp_path / "a.nii", values, RAS), CORD, GRID)


def test_soft_labels_are_cut_at_a_half_with_a_note(tmp_path):
    soft = np.random.default_rng(2).random(SHAPE).astype(np.float32)
    soft[0, 0, 0] = 0.5
    path = write_nifti(tmp_path / "a.nii", soft, RAS)
    labels = read_volume_labels(path, CORD, GRID)
    np.testing.assert_array_equal(labels.values, soft >= 0.5)
    assert any("soft" in note for note in labels.notes)
    with pytest.raises(DataError, match="fractional"):
        read_volume_labels(path, [*CORD, ClassSpec(name="canal", color=(0, 0, 255))], GRID)
    with pytest.raises(DataError, match="fractional"):
        read_volume_labels(write_nifti(tmp_path / "b.nii", soft * 3, RAS), CORD, GRID)
    soft[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="no numbers"):
        read_volume_labels(write_nifti(tmp_path / "c.nii", soft, RAS), CORD, GRID)


def test_several_volumes_are_no_label(tmp_path):
    with pytest.raises(DataError, match="2 volumes"):
        read_volume_labels(write_nifti(tmp_path / "a.nii", np.stack([TRUTH, TRUTH], -1), RAS), CORD, GRID)
