"""NIfTI headers: what they say is kept, what they leave out is told, and what they claim is checked."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io import read_volume, write_mask, write_probabilities
from tests.volumes_on_disk import marked, write_nifti

SHAPE = (5, 6, 4)
VALUES = marked(SHAPE, (1, 2, 3))
RAS = np.array([[0.5, 0, 0, -20.0], [0, 0.7, 0, -30.0], [0, 0, 3.0, 40.0], [0, 0, 0, 1.0]])
KEPT = (
    "sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
    "qoffset_y", "qoffset_z",
)  # fmt: skip


def patched(path, position: int, content: bytes):
    """Other bytes in a plain file's header."""
    data = bytearray(path.read_bytes())
    data[position : position + len(content)] = content
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (2, 2), (1, 0), (0, 1), (4, 1), (0, 3), (0, 0)])
def test_a_mask_has_its_images_forms_and_codes(tmp_path, codes):
    sform, qform = RAS.copy(), RAS @ np.diag([-1.0, 1.0, 1.0, 1.0])
    sform[:3, :3] += np.random.default_rng(0).normal(0, 0.1, (3, 3))
    image = nib.Nifti1Image(VALUES, None)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    image.update_header = lambda: None
    nib.save(image, tmp_path / "a.nii.gz")
    case = read_volume(tmp_path / "a.nii.gz", "a")
    write_mask(tmp_path / "mask.nii.gz", VALUES > 50, case.grid)
    before, after = nib.load(tmp_path / "a.nii.gz"), nib.load(tmp_path / "mask.nii.gz")
    for name in KEPT:
        np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)
    np.testing.assert_array_equal(after.header["pixdim"][:4], before.header["pixdim"][:4])
    np.testing.assert_array_equal(after.affine, before.affine)
    np.testing.assert_array_equal(case.grid.affine, before.affine)
    assert after.get_data_dtype() == np.uint8
    assert after.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(after.dataobj), VALUES > 50)


def test_a_header_that_says_nothing_of_the_patient_is_noted(tmp_path):
    image = nib.Nifti1Image(VALUES, None)
    image.header.set_zooms((2, 3, 4))
    nib.save(image, tmp_path / "a.nii")
    case = read_volume(tmp_path / "a.nii", "a")
    np.testing.assert_array_equal(case.grid.affine, nib.load(tmp_path / "a.nii").affine)
    assert any("left and right may be swapped" in flag for flag in case.flags)


def test_forms_that_disagree_are_noted(tmp_path):
    image = nib.Nifti1Image(VALUES, RAS)
    shifted = RAS.copy()
    shifted[0, 3] += 7
    image.set_sform(RAS, 1)
    image.set_qform(shifted, 1)
    nib.save(image, tmp_path / "a.nii")
    case = read_volume(tmp_path / "a.nii", "a")
    np.testing.assert_allclose(case.grid.affine, RAS, rtol=1e-6)
    assert any("7.00 mm apart" in flag for flag in case.flags)
    assert not read_volume(write_nifti(tmp_path / "b.nii", VALUES, RAS), "b").flags


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[0, 0, 0, 0]] * 3, "singular"),
        ([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], "singular"),
        ([[np.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "not finite"),
    ],
)
def test_an_affine_that_is_no_place_is_refused(tmp_path, rows, reason):
    path = write_nifti(tmp_path / "a.nii", VALUES, RAS)
    patched(path, 280, np.array(rows, "<f4").tobytes())
    with pytest.raises(DataError, match=reason) as caught:
        read_volume(path, "a")
    assert "sform" in caught.value.remedy


def test_a_qform_without_its_handedness_is_read_as_others_read_it(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VALUES, RAS, sform_code=0)
    patched(path, 76, struct.pack("<f", 0.0))
    np.testing.assert_allclose(read_volume(path, "a").grid.affine, RAS, rtol=1e-6)


def test_a_qform_that_is_no_rotation_is_refused_unless_there_is_an_sform(tmp_path):
    path = write_nifti(tmp_path / "a.nii", VALUES, RAS)
    patched(path, 256, struct.pack("<3f", 2.0, 2.0, 2.0))
    assert read_volume(path, "a").grid.shape == SHAPE
    patched(path, 254, struct.pack("<h", 0))
    with pytest.raises(DataError, match="no rotation"):
        read_volume(path, "a")


@pytest.mark.parametrize(("unit", "factor"), [("micron", 0.001), ("meter", 1000.0), ("unknown", 1.0)])
def test_lengths_become_mm_and_go_back_as_they_came(tmp_path, unit, factor):
    image = nib.Nifti1Image(VALUES, np.diag([1 / factor] * 3 + [1]) @ RAS)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    case = read_volume(tmp_path / "a.nii", "a")
    np.testing.assert_allclose(case.grid.spacing_mm, [0.5, 0.7, 3.0], rtol=1e-6)
    assert len(case.notes) == (factor != 1)
    write_mask(tmp_path / "mask.nii.gz", VALUES > 50, case.grid)
    mask = nib.load(tmp_path / "mask.nii.gz")
    assert mask.header.get_xyzt_units()[0] == ("mm" if unit == "unknown" else unit)
    np.testing.assert_array_equal(mask.affine, nib.load(tmp_path / "a.nii").affine)


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "i4", "f4", ">f8", "u8"])
def test_values_are_scaled_as_the_header_says(tmp_path, dtype):
    for slope, inter in ((2.5, -10.0), (0.0, 7.0), (np.nan, 1.0), (1.0, 0.0)):
        header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
        image = nib.Nifti1Image((VALUES % 100).astype(dtype), RAS, header)
        image.set_data_dtype(dtype)
        nib.save(image, tmp_path / "a.nii")
        order = ">" if dtype.startswith(">") else "<"
        patched(tmp_path / "a.nii", 112, struct.pack(f"{order}2f", slope, inter))
        wanted = VALUES % 100 * (slope if slope > 0 else 1) + (inter if slope > 0 else 0)
        np.testing.assert_allclose(read_volume(tmp_path / "a.nii", "a").image[0], wanted, rtol=1e-6)


def test_nifti_2_and_compression_are_told_by_content(tmp_path):
    second = nib.Nifti2Image(VALUES, RAS)
    nib.save(second, tmp_path / "a.nii")
    packed_plainly_named = tmp_path / "b.nii"
    packed_plainly_named.write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    plain_named_packed = tmp_path / "c.nii.gz"
    plain_named_packed.write_bytes((tmp_path / "a.nii").read_bytes())
    for path in (tmp_path / "a.nii", packed_plainly_named, plain_named_packed):
        case = read_volume(path, "a")
        np.testing.assert_array_equal(case.image[0], VALUES)
        np.testing.assert_allclose(case.grid.affine, RAS)


def test_double_precision_of_nifti_2_is_kept(tmp_path):
    affine = RAS + np.pi / 100
    affine[3] = 0, 0, 0, 1
    nib.save(nib.Nifti2Image(VALUES, affine), tmp_path / "a.nii")
    case = read_volume(tmp_path / "a.nii", "a")
    write_mask(tmp_path / "mask.nii.gz", VALUES > 50, case.grid)
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii.gz").affine, nib.load(tmp_path / "a.nii").affine)


@pytest.mark.parametrize("packed", [False, True])
def test_a_claimed_size_is_checked_before_memory_is_taken(tmp_path, packed):
    path = write_nifti(tmp_path / "a.nii", VALUES, RAS)
    for dims, reason in (
        ((3, 32767, 32767, 32767), "do not fit"),
        ((3, 5, 6, 32000), "do not fit"),
        ((3, 5, -6, 4), "none"),
        ((3, 5, 0, 4), "none"),
        ((1, 120, 1, 1), "one axis"),
    ):
        patched(path, 40, struct.pack("<4h", *dims))
        claimed = path
        if packed:
            claimed = tmp_path / "b.nii.gz"
            claimed.write_bytes(gzip.compress(path.read_bytes()))
        with pytest.raises(DataError, match=reason):
            read_volume(claimed, "a")


def test_more_voxels_than_the_limit_are_refused_though_they_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr("gracile.io.voxels.MAX_VOXELS", 119)
    with pytest.raises(DataError, match="more than the limit"):
        read_volume(write_nifti(tmp_path / "a.nii.gz", VALUES, RAS), "a")


@pytest.mark.parametrize(
    ("position", "content", "reason"),
    [
        (0, b"\0\0\0\0", "no NIfTI"),
        (344, b"none", "no NIfTI"),
        (344, b"ni1\0", "pair"),
        (70, struct.pack("<h", 7777), "unknown type"),
        (70, struct.pack("<2h", 32, 64), "complex"),
        (108, struct.pack("<f", np.nan), "where its voxels begin"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path, position, content, reason):
    path = patched(write_nifti(tmp_path / "a.nii", VALUES, RAS), position, content)
    with pytest.raises(DataError, match=reason):
        read_volume(path, "a")


def test_a_checksum_that_does_not_fit_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", VALUES, RAS)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_volume(path, "a")


def test_nothing_but_geometry_is_carried_from_header_to_mask(tmp_path):
    image = nib.Nifti1Image(VALUES, RAS)
    image.header["descrip"], image.header["aux_file"], image.header["intent_name"] = b"Doe^Jane", b"Doe", b"Jane"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Doe^Jane"))
    nib.save(image, tmp_path / "a.nii.gz")
    case = read_volume(tmp_path / "a.nii.gz", "a")
    write_mask(tmp_path / "mask.nii.gz", VALUES > 50, case.grid)
    written = gzip.decompress((tmp_path / "mask.nii.gz").read_bytes())
    assert b"Doe" not in written
    assert b"Jane" not in written
    np.testing.assert_array_equal(case.image[0], VALUES)


def test_equal_masks_are_equal_files(tmp_path):
    for name in ("one", "two"):
        write_mask(tmp_path / name / "mask.nii.gz", VALUES > 50, Grid(SHAPE, RAS))
    contents = {path.read_bytes() for path in tmp_path.rglob("*.nii.gz")}
    assert len(contents) == 1


def test_probabilities_are_one_volume_for_each_class(tmp_path):
    probabilities = np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)
    probabilities[0, 0, 0] = 0, 1, 0.5, np.nan
    write_probabilities(tmp_path / "p.nii.gz", probabilities, Grid(SHAPE, RAS))
    image = nib.load(tmp_path / "p.nii.gz")
    assert image.shape == (*SHAPE, 3)
    np.testing.assert_allclose(image.affine, RAS, rtol=1e-6)
    maps = image.get_fdata()
    np.testing.assert_allclose(np.moveaxis(maps, -1, 0), np.nan_to_num(probabilities), atol=1.6e-5)
    assert maps[0, 0, :3, 0].tolist() == [0, 1, 0.5]


def test_a_mask_that_does_not_fit_is_refused(tmp_path):
    grid = Grid(SHAPE, RAS)
    for mask in (np.zeros((5, 6)), np.zeros(SHAPE), np.full(SHAPE, 300), np.zeros((4, 5, 6), np.uint8)):
        with pytest.raises(DataError):
            write_mask(tmp_path / "mask.nii.gz", mask, grid)
    with pytest.raises(DataError, match="does not lie"):
        write_mask(tmp_path / "mask.nii.gz", np.zeros(SHAPE, np.uint8), Grid(SHAPE))
    assert not list(tmp_path.iterdir())
