"""A volume is the same volume, in the same place of the patient, whatever its format."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import DataError
from gracile.io import read_volume, volume_parts, write_mask
from tests.volumes_on_disk import (
    FORMATS,
    marked,
    oblique_affines,
    write_in_all_formats,
    write_itk,
    write_nifti,
    write_series,
)

SHAPE = (5, 6, 4)
RAS = np.array([[0.5, 0, 0, -20.0], [0, 0.7, 0, -30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])


def place_of_the_mark(case) -> np.ndarray:
    """Where the brightest voxel lies, in RAS+ mm."""
    voxel = np.unravel_index(case.image[0].argmax(), case.grid.shape)
    return case.grid.affine[:3, :3] @ voxel + case.grid.affine[:3, 3]


@settings(max_examples=30)
@given(oblique_affines(), st.tuples(*(st.integers(0, size - 1) for size in SHAPE)))
def test_all_formats_put_a_voxel_at_the_same_place(affine, voxel):
    values = marked(SHAPE, voxel)
    truth = affine[:3, :3] @ voxel + affine[:3, 3]
    with TemporaryDirectory() as folder:
        for name, path in write_in_all_formats(Path(folder), values, affine).items():
            case = read_volume(path, name)
            assert case.image.dtype == np.float32
            assert case.image.shape == (1, *case.grid.shape), name
            np.testing.assert_allclose(place_of_the_mark(case), truth, atol=1e-3, err_msg=name)
            if name != "DICOM":  # whose slices may be sorted the other way round
                np.testing.assert_array_equal(case.image[0], values, err_msg=name)
                np.testing.assert_allclose(case.grid.affine, affine, atol=1e-4, err_msg=name)


@settings(max_examples=12)
@given(oblique_affines(), st.tuples(*(st.integers(0, size - 1) for size in SHAPE)))
def test_a_mask_lies_where_its_input_does_whoever_reads_it(affine, voxel):
    truth = affine[:3, :3] @ voxel + affine[:3, 3]
    with TemporaryDirectory() as folder:
        for name, path in write_in_all_formats(Path(folder), marked(SHAPE, voxel), affine).items():
            case = read_volume(path, name)
            mask = Path(folder) / f"mask-{name}.nii.gz"
            write_mask(mask, case.image[0] == 1000, case.grid)
            again = nib.load(mask)
            found = nib.affines.apply_affine(again.affine, np.argwhere(np.asarray(again.dataobj))[0])
            np.testing.assert_allclose(found, truth, atol=1e-3, err_msg=name)
            by_itk = sitk.ReadImage(str(mask))
            (index,) = np.argwhere(sitk.GetArrayFromImage(by_itk))[:, ::-1].tolist()
            there = np.array(by_itk.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
            np.testing.assert_allclose(there, truth, atol=2e-3, err_msg=name)


def test_a_single_slice_is_a_volume(tmp_path):
    flat = marked((5, 6, 1), (1, 2, 0))
    for path in (
        write_nifti(tmp_path / "a.nii", flat, RAS),
        write_itk(tmp_path / "a.mha", flat, RAS),
        write_series(tmp_path / "series", flat, RAS),
    ):
        case = read_volume(path, "a")
        assert case.grid.shape == (5, 6, 1)
        np.testing.assert_allclose(case.grid.spacing_mm, (0.5, 0.7, 3.0), rtol=1e-5)
    two_axes = write_nifti(tmp_path / "b.nii", flat[..., 0], RAS)
    assert read_volume(two_axes, "b").grid.shape == (5, 6, 1)
    assert np.isfinite(read_volume(two_axes, "b").grid.affine).all()


def test_a_fourth_axis_of_one_is_dropped_with_a_note(tmp_path):
    case = read_volume(write_nifti(tmp_path / "a.nii.gz", marked(SHAPE, (0, 0, 0))[..., None], RAS), "a")
    assert case.grid.shape == SHAPE
    assert any("fourth axis" in note for note in case.notes)


def several(folder: Path) -> list[Path]:
    """Three volumes of the values 0, 3 and 9 in one file, or one series."""
    values = np.stack([np.full(SHAPE, v, np.int16) for v in (0, 3, 9)], axis=-1)
    series = folder / "series"
    for index in range(3):
        write_series(series, values[..., index], RAS, series="1.2.3", first=index * SHAPE[2])
    itk = sitk.JoinSeries([sitk.GetImageFromArray(v.transpose(2, 1, 0).copy()) for v in np.moveaxis(values, -1, 0)])
    for suffix in ("mha", "nrrd"):
        sitk.WriteImage(itk, str(folder / f"a.{suffix}"))
    return [write_nifti(folder / "a.nii.gz", values, RAS), series, folder / "a.mha", folder / "a.nrrd"]


def test_several_volumes_in_one_file_are_refused_with_what_may_be_done(tmp_path):
    for path in several(tmp_path):
        with pytest.raises(DataError, match="3 volumes") as caught:
            read_volume(path, "a")
        assert "input.fourth_axis=first" in caught.value.remedy


def test_the_first_or_the_mean_of_several_volumes_is_taken_when_asked(tmp_path):
    for path in several(tmp_path):
        first, mean = (read_volume(path, "a", fourth_axis=which) for which in ("first", "mean"))
        assert (first.image == 0).all()
        assert (mean.image == 4).all()
        assert any("first of 3" in note for note in first.notes)
        assert any("mean of 3" in note for note in mean.notes)


def test_voxels_that_are_no_numbers_become_zero_with_a_note(tmp_path):
    values = np.ones(SHAPE, np.float64)
    values[0, 0, :3] = np.nan, np.inf, -1e300
    case = read_volume(write_nifti(tmp_path / "a.nii.gz", values, RAS), "a")
    assert case.image[0, 0, 0].tolist() == [0, 0, 0, 1]
    assert any(flag.startswith("3 voxels") for flag in case.flags)


def test_what_is_no_volume_is_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(DataError, match=r"a\.txt is no volume"):
        read_volume(tmp_path / "a.txt", "a")
    with pytest.raises(DataError, match="no file"):
        read_volume(tmp_path / "b.nii.gz", "b")
    with pytest.raises(DataError, match="no DICOM"):
        read_volume(tmp_path, "c")


@pytest.mark.parametrize("suffix", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
def test_an_empty_file_is_refused(tmp_path, suffix):
    (tmp_path / f"a.{suffix}").touch()
    with pytest.raises(DataError, match="zero bytes"):
        read_volume(tmp_path / f"a.{suffix}", "a")


@pytest.mark.parametrize("name", ["nii", "nii.gz", "nrrd", "nrrd, packed", "mha", "mha, packed"])
@settings(max_examples=25)
@given(share=st.floats(0.0, 0.99))
def test_a_file_cut_off_anywhere_is_refused(tmp_path_factory, name, share):
    folder = tmp_path_factory.mktemp("cut")
    path = FORMATS[name](folder, marked(SHAPE, (0, 0, 0)), RAS)
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(len(content) * share))])
    with pytest.raises(DataError):
        read_volume(path, "a")


@pytest.mark.parametrize("name", ["nii.gz", "nrrd, packed", "mha, packed"])
@settings(max_examples=25)
@given(share=st.floats(0.6, 0.99), bit=st.integers(0, 7))
def test_a_flipped_bit_among_packed_voxels_is_never_passed_on(tmp_path_factory, name, share, bit):
    folder = tmp_path_factory.mktemp("flipped")
    values = marked(SHAPE, (0, 0, 0))
    path = FORMATS[name](folder, values, RAS)
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1 << bit
    path.write_bytes(content)
    try:
        case = read_volume(path, "a")
    except DataError:
        return
    np.testing.assert_array_equal(case.image[0], values)


def test_colors_are_refused(tmp_path):
    colors = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colors, RAS), tmp_path / "a.nii.gz")
    vectors = sitk.GetImageFromArray(np.zeros((*SHAPE, 3), np.uint8), isVector=True)
    for suffix in ("mha", "nrrd"):
        sitk.WriteImage(vectors, str(tmp_path / f"a.{suffix}"))
    for suffix in ("nii.gz", "mha", "nrrd"):
        with pytest.raises(DataError, match="one gray value"):
            read_volume(tmp_path / f"a.{suffix}", "a")


def test_a_change_of_any_file_of_a_volume_can_be_seen(tmp_path):
    files = write_in_all_formats(tmp_path, marked(SHAPE, (0, 0, 0)), RAS)
    assert volume_parts(files["nii.gz"]) == [files["nii.gz"]]
    assert volume_parts(files["mha"]) == [files["mha"]]
    assert [path.name for path in volume_parts(files["mhd"])] == ["c.mhd", "c.raw"]
    assert [path.name for path in volume_parts(files["nhdr"])] == ["a.nhdr", "a.raw"]
    assert volume_parts(files["DICOM"]) == sorted(files["DICOM"].iterdir())
    assert volume_parts(files["DICOM"] / "b000.dcm") == sorted(files["DICOM"].iterdir())


@pytest.mark.real
def test_real_volumes_come_back_with_their_own_headers(real_data, tmp_path):
    found = sorted((real_data / "spinal-cord").rglob("*.nii.gz"))
    for path in [*found[:2], *(one for one in found if "sct-testing" in str(one))]:
        image = nib.load(path)
        case = read_volume(path, "a")
        np.testing.assert_allclose(case.image[0], image.get_fdata(), rtol=1e-6)
        np.testing.assert_array_equal(case.grid.affine, image.affine)
        write_mask(tmp_path / "mask.nii.gz", case.image[0] > 0, case.grid)
        mask = nib.load(tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(mask.affine, image.affine)
        for name in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x"):
            np.testing.assert_array_equal(mask.header[name], image.header[name], err_msg=f"{path} {name}")


@pytest.mark.parametrize(
    ("scale", "reason"),
    [(70.0, "35 mm: micrometers"), (2000.0, "1000 mm: micrometers"), (1e-3, "0.0005 mm: meters")],
)
def test_sizes_that_no_body_has_are_refused_with_the_size_in_every_format(tmp_path, scale, reason):
    affine = np.diag([0.5, 0.5, 0.5, 1.0]) @ np.diag([scale, scale, scale, 1.0])
    values = marked(SHAPE, (1, 2, 3))
    for path in (write_nifti(tmp_path / "a.nii", values, affine), write_itk(tmp_path / "a.nrrd", values, affine),
                 write_itk(tmp_path / "a.mha", values, affine)):  # fmt: skip
        with pytest.raises(DataError, match=reason):
            read_volume(path, "a")


def test_a_volume_far_from_everything_is_refused(tmp_path):
    affine = RAS.copy()
    affine[0, 3] = 1e9
    with pytest.raises(DataError, match="from the origin"):
        read_volume(write_nifti(tmp_path / "a.nii", marked(SHAPE, (1, 2, 3)), affine), "a")
