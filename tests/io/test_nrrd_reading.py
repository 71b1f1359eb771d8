"""NRRD headers in the ways that programs write them."""

import nrrd
import numpy as np
import pytest

from gracile.errors import DataError
from gracile.io import read_volume
from tests.volumes_on_disk import marked

SHAPE = (5, 6, 4)
VALUES = marked(SHAPE, (1, 2, 3))
DIRECTIONS = np.array([[0.5, 0.1, 0], [0, 0.7, 0], [0, 0, 3.0]])
ORIGIN = np.array([1.0, 2.0, 3.0])


def written(path, values=VALUES, **fields):
    header = {"space": "left-posterior-superior", "space directions": DIRECTIONS, "space origin": ORIGIN, **fields}
    nrrd.write(str(path), values, {name: value for name, value in header.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1, 1)), ("right-anterior-superior", (1, 1, 1)), ("LAS", (-1, 1, 1))],
)
def test_every_named_space_becomes_ras(tmp_path, space, signs):
    case = read_volume(written(tmp_path / "a.nrrd", space=space), "a")
    np.testing.assert_allclose(case.grid.affine[:3, :3], (DIRECTIONS * signs).T)
    np.testing.assert_allclose(case.grid.affine[:3, 3], ORIGIN * signs)
    np.testing.assert_array_equal(case.image[0], VALUES)
    assert not case.flags


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i2", "u4", "f4", ">f8"])
def test_encodings_and_types(tmp_path, encoding, dtype):
    values = (VALUES % 100).astype(dtype)
    case = read_volume(written(tmp_path / "a.nrrd", values, encoding=encoding), "a")
    np.testing.assert_array_equal(case.image[0], values)


def test_a_file_without_a_space_is_taken_as_itk_takes_it_with_a_note(tmp_path):
    path = written(tmp_path / "a.nrrd", **{"space": None, "space directions": None, "space origin": None,
                                            "spacings": np.array([1.0, 2.0, 3.0])})  # fmt: skip
    case = read_volume(path, "a")
    np.testing.assert_allclose(case.grid.affine, np.diag([-1.0, -2.0, 3.0, 1.0]))
    assert any("does not name its space" in flag for flag in case.flags)


def test_a_space_outside_the_patient_is_refused(tmp_path):
    with pytest.raises(DataError, match="scanner-xyz"):
        read_volume(written(tmp_path / "a.nrrd", space="scanner-xyz"), "a")


def test_an_axis_of_volumes_may_come_first(tmp_path):
    values = np.stack([VALUES, VALUES + 2])
    directions = np.vstack([np.full(3, np.nan), DIRECTIONS])
    fields = {"kinds": ["list", "domain", "domain", "domain"], "space directions": directions}
    path = written(tmp_path / "a.nrrd", values, **fields)
    np.testing.assert_array_equal(read_volume(path, "a", fourth_axis="mean").image[0], VALUES + 1)
    np.testing.assert_allclose(read_volume(path, "a", fourth_axis="first").grid.affine[:3, 2], (0, 0, 3))
    fields["kinds"] = ["RGB-color", "domain", "domain", "domain"]
    with pytest.raises(DataError, match="colors"):
        read_volume(written(tmp_path / "b.nrrd", values, **fields), "b")


def test_damaged_headers_are_refused(tmp_path):
    content = written(tmp_path / "a.nrrd").read_bytes()
    for what, other, reason in (
        (b"NRRD", b"NARD", "no NRRD"),
        (b"sizes: 5 6 4", b"sizes: 5 6 4000000", "do not fit"),
        (b"sizes: 5 6 4", b"sizes: 5 6", "number of axes"),
        (b"sizes: 5 6 4", b"sizes: 5 six 4", "damaged header"),
        (b"dimension: 3", b"dimension: x", "damaged header"),
        (b"type: int16", b"type: int1", "unknown type"),
        (b"encoding: gzip", b"encoding: ascii", "as text"),
        (b"(0,0.69999999999999996,0)", b"(0,0,0)", "2 axes in space"),
        (b"(0,0.69999999999999996,0)", b"(1,0.2,0)", "singular"),
    ):
        where = tmp_path / "b.nrrd"
        assert what in content
        where.write_bytes(content.replace(what, other, 1))
        with pytest.raises(DataError, match=reason):
            read_volume(where, "b")


@pytest.mark.parametrize(
    ("field", "reason"), [(b"space origin: (1,2)", "fewer than three"), (b"kinds: domain domain", "contradicts itself")]
)
def test_fields_of_too_few_axes_are_refused(tmp_path, field, reason):
    path = written(tmp_path / "a.nrrd", kinds=["domain"] * 3)
    lines = path.read_bytes().split(b"\n")
    name = field.split(b":")[0]
    path.write_bytes(b"\n".join(field if line.startswith(name + b":") else line for line in lines))
    with pytest.raises(DataError, match=reason):
        read_volume(path, "a")


def test_a_missing_data_file_is_named(tmp_path):
    path = written(tmp_path / "a.nhdr")
    (data,) = (one for one in tmp_path.iterdir() if one != path)
    assert read_volume(path, "a").grid.shape == SHAPE
    data.unlink()
    with pytest.raises(DataError, match=data.name):
        read_volume(path, "a")
