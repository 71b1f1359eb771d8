"""A line comes back from its table and from its curve, and marks one voxel a slice."""

import json

import numpy as np
import pytest

from gracile.errors import DataError, GeometryError
from gracile.geometry import Centerline, Grid, voxels_on_line
from gracile.io.centerlines import read_centerline, write_centerline
from tests.geometry.volumes import ORIENTATIONS, oriented

LINE = Centerline(np.array([[1.0, 2, 3], [1.5, 2.5, 5], [3, 4, 7]]), np.array([0.5, 0.9, 0.7]))


def test_the_table_says_place_arc_length_and_probability(tmp_path):
    write_centerline(tmp_path / "a.csv", LINE)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "ras_x_mm,ras_y_mm,ras_z_mm,arc_mm,probability"
    assert lines[1] == "1.0000,2.0000,3.0000,0.0000,0.5000"
    assert np.allclose(read_centerline(tmp_path / "a.csv").points_mm, LINE.points_mm)


def test_the_curve_is_one_for_slicer_in_lps(tmp_path):
    write_centerline(tmp_path / "a.mrk.json", LINE, "cord")
    (markup,) = json.loads((tmp_path / "a.mrk.json").read_text())["markups"]
    assert (markup["type"], markup["coordinateSystem"], markup["name"]) == ("Curve", "LPS", "cord")
    assert markup["controlPoints"][0]["position"] == [-1, -2, 3]
    assert "0.5" in markup["controlPoints"][0]["description"]
    assert np.allclose(read_centerline(tmp_path / "a.mrk.json").points_mm, LINE.points_mm)


def test_a_line_from_above_is_turned(tmp_path):
    write_centerline(tmp_path / "a.csv", Centerline(LINE.points_mm[::-1]))
    assert np.allclose(read_centerline(tmp_path / "a.csv").points_mm, LINE.points_mm)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError):
        write_centerline(tmp_path / "a.txt", LINE)
    (tmp_path / "a.csv").write_text("label,r,a,s\na,,,\n")
    with pytest.raises(DataError, match="without a place"):
        read_centerline(tmp_path / "a.csv")


@pytest.mark.parametrize("code", ORIENTATIONS[::5])
def test_the_line_marks_one_voxel_on_each_slice(code):
    affine = np.diag([0.5, 0.5, 1.0, 1.0])
    volume, turned = oriented(np.zeros((10, 12, 14)), affine, code)
    mask = voxels_on_line(LINE, Grid(volume.shape, turned))
    voxels = np.argwhere(mask)
    assert mask.dtype == np.uint8
    assert len(voxels) == 5
    places = voxels @ turned[:3, :3].T + turned[:3, 3]
    assert LINE.distances_mm(places).max() <= 0.36
    with pytest.raises(GeometryError):
        voxels_on_line(LINE, Grid(volume.shape))
