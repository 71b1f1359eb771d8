"""Points come back as they went out, in every format and system, and what does not say its system is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.fcsv import read_fcsv, write_fcsv
from gracile.io.markups import read_points, write_points
from gracile.io.point_tables import read_point_table, write_point_table
from gracile.io.slicer_markups import read_slicer_markups, write_slicer_markups

NUMBERS = st.floats(-1e4, 1e4, allow_nan=False)
LABELS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=12)


@st.composite
def point_lists(draw, gaps=True, names=LABELS):
    count = draw(st.integers(1, 6))
    places = np.array(draw(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=count, max_size=count)))
    if gaps and draw(st.booleans()):
        places[draw(st.integers(0, count - 1))] = np.nan
    labels = draw(st.lists(names, min_size=count, max_size=count))
    return PointList(places, labels, kind=draw(st.sampled_from(["points", "curve", "closed curve"])))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("points")


@settings(max_examples=30)
@given(points=point_lists(), system=st.sampled_from(["LPS", "RAS"]), name=LABELS)
def test_slicer_markups_come_back(folder, points, system, name):
    axes = np.linalg.qr(np.random.default_rng(len(points)).normal(size=(len(points), 3, 3)))[0]
    sent = PointList(points.points_mm, points.labels, points.kind, name, axes)
    write_slicer_markups(folder / "a.mrk.json", sent, system=system)
    (back,) = read_slicer_markups(folder / "a.mrk.json")
    assert np.array_equal(back.points_mm, sent.points_mm, equal_nan=True)
    assert (back.labels, back.kind, back.name) == (sent.labels, sent.kind, name)
    assert np.array_equal(back.orientations, axes)


@settings(max_examples=30)
@given(points=point_lists(gaps=False), system=st.sampled_from(["LPS", "RAS"]))
def test_fcsv_comes_back(folder, points, system):
    write_fcsv(folder / "a.fcsv", points, system=system)
    back = read_fcsv(folder / "a.fcsv")
    assert np.array_equal(back.points_mm, points.points_mm)
    assert back.labels == points.labels


@settings(max_examples=30)
@given(points=point_lists(names=LABELS.filter(str.strip)), cases=st.sampled_from([("",), ("a", "b")]))
def test_tables_come_back(folder, points, cases):
    write_point_table(folder / "a.csv", dict.fromkeys(cases, points))
    back = read_point_table(folder / "a.csv")
    assert list(back) == list(cases)
    for some in back.values():
        assert np.array_equal(some.points_mm, points.points_mm, equal_nan=True)
        assert some.labels == points.labels


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv"])
def test_each_format_is_told_by_its_suffix(tmp_path, suffix):
    points = PointList(np.array([[1.5, -2, 3], [4, 5, 6]]), ["apex", "base"])
    write_points(tmp_path / f"a{suffix}", points)
    back = read_points(tmp_path / f"a{suffix}")
    assert np.array_equal(back.points_mm, points.points_mm)
    assert back.labels == points.labels
    for refused in (read_points, lambda path: write_points(path, points)):
        with pytest.raises(DataError):
            refused(tmp_path / "a.stl")


# --- 3D Slicer's JSON


def markup(**changes):
    control = {"label": "F-1", "position": [1.0, 2.0, 3.0]}
    whole = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [control], "unknown": {"x": 1}}
    whole |= changes
    return {"@schema": "…", "markups": [{key: value for key, value in whole.items() if value is not None}]}


def saved(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("system", "expected"), [("LPS", [-1, -2, 3]), ("RAS", [1, 2, 3]), ("0", [1, 2, 3]), (1, [-1, -2, 3])]
)
def test_the_system_is_read_from_the_markup(tmp_path, system, expected):
    (points,) = read_slicer_markups(saved(tmp_path / "a.mrk.json", markup(coordinateSystem=system)))
    assert points.points_mm.tolist() == [expected]
    assert points.orientations is None


def test_the_usual_orientation_of_slicer_is_that_of_the_patient(tmp_path):
    control = {"position": [1, 2, 3], "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0]}
    (points,) = read_slicer_markups(
        saved(tmp_path / "a.mrk.json", markup(controlPoints=[control, {"position": [0] * 3}]))
    )
    assert np.array_equal(points.orientations, [np.eye(3), np.eye(3)])


@pytest.mark.parametrize("status", ["undefined", "preview", "missing"])
def test_points_that_are_not_placed_keep_their_name(tmp_path, status):
    controls = [
        {"label": "a", "position": "", "positionStatus": status},
        {"label": "b", "position": [1, 2, 3], "positionStatus": "defined"},
    ]
    points = read_points(saved(tmp_path / "a.mrk.json", markup(controlPoints=controls)))
    assert points.labels == ["a", "b"]
    assert points.defined.tolist() == [False, True]


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("um", 1e-3), (["mm", "UCUM", "millimeter"], 1)])
def test_units_are_obeyed(tmp_path, unit, factor):
    points = read_points(saved(tmp_path / "a.mrk.json", markup(coordinateUnits=unit)))
    assert np.allclose(points.points_mm, np.array([[-1, -2, 3]]) * factor)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ([], "no Slicer markups"),
        ({"markups": []}, "no Slicer markups"),
        (markup(coordinateSystem=None), "does not say in which coordinate system"),
        (markup(coordinateSystem="IJK"), "voxels"),
        (markup(coordinateSystem="XYZ"), "unknown"),
        (markup(coordinateUnits="inch"), "inch"),
        (markup(controlPoints=None), "without control points"),
        (markup(controlPoints=[]), "without points"),
        (markup(controlPoints=[7]), "control point"),
        (markup(type="ROI"), "ROI"),
        (markup(controlPoints=[{"label": "F", "position": [1, 2]}]), "'F'"),
        (markup(controlPoints=[{"position": [1, 2, "3"]}]), "number 1"),
        (markup(controlPoints=[{"position": [1, 2, True]}]), "number 1"),
        ('{"markups": [{"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": [{"position": [1, 2, NaN]}]}]}',
         "three numbers"),
        (markup(controlPoints=[{"position": [1, 2, 3], "orientation": [1, 0]}]), "nine numbers"),
    ],
)  # fmt: skip
def test_malformed_slicer_markups_are_refused_with_a_remedy(tmp_path, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read_slicer_markups(saved(tmp_path / "a.mrk.json", content))
    assert caught.value.remedy


def test_a_file_of_two_lists_is_read_as_two_and_refused_as_one(tmp_path):
    two = markup()
    two["markups"] *= 2
    assert len(read_slicer_markups(saved(tmp_path / "a.mrk.json", two))) == 2
    with pytest.raises(DataError, match="2 lists"):
        read_points(tmp_path / "a.mrk.json")


# --- .fcsv

SLICER_4 = """# Markups fiducial file version = 4.10
# CoordinateSystem = {}
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
vtkMRMLMarkupsFiducialNode_0,1.0,2.0,3.0,0,0,0,1,1,1,0,nP-1,,
vtkMRMLMarkupsFiducialNode_1,4,5,6e0,0,0,0,1,1,1,0,"nP-1","a ""b"", c",,,,
"""
SLICER_3 = """# Fiducial List file FL.fcsv
# name = FL
# numPoints = 2
# CoordinateSystem = 0
# color = 0.4,1,1
# columns = label,x,y,z,sel,vis
L,1.0,2.0,3.0,1,1
R,4,5,6,1,1
"""


@pytest.mark.parametrize("system", ["0", "1", "RAS", "LPS", "lps"])
def test_every_way_to_say_the_system_of_a_fcsv_is_read(tmp_path, system):
    points = read_fcsv(saved(tmp_path / "a.fcsv", SLICER_4.format(system)))
    sign = -1 if system.lower() in {"1", "lps"} else 1
    assert points.points_mm.tolist() == [[sign * 1, sign * 2, 3], [sign * 4, sign * 5, 6]]
    assert points.labels == ["nP-1", "nP-1"]


def test_the_columns_of_older_slicer_and_other_line_ends_are_read(tmp_path):
    points = read_fcsv(saved(tmp_path / "a.fcsv", SLICER_3.replace("\n", "\r\n")))
    assert points.labels == ["L", "R"]
    assert points.points_mm.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_status_that_slicer_5_adds_without_naming_it_is_read(tmp_path):
    header = "".join(SLICER_4.format("LPS").splitlines(keepends=True)[:3])
    lines = "1,1,2,3,0,0,0,1,1,1,0,set,,,2,0\n2,0,0,0,0,0,0,1,1,1,0,gone,,,3,0\n3,0,0,0,0,0,0,1,1,1,0,never,,,0,0\n"
    points = read_fcsv(saved(tmp_path / "a.fcsv", header + lines))
    assert points.labels == ["set", "gone", "never"]
    assert points.points_mm[0].tolist() == [-1, -2, 3]
    assert points.defined.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "columns"),
        (SLICER_4.replace("nP-1,,", "nP-1,,,4,0").format("0"), "point 1"),
        (SLICER_3.replace("4,5,6,1,1", "4,5,6,1,1,2,0"), "point 2"),
        (SLICER_4.format("2"), "voxels"),
        (SLICER_4.format("XYZ"), "unknown"),
        (SLICER_4.replace("# CoordinateSystem = {}\n", ""), "does not say in which coordinate system"),
        (SLICER_3.replace("# CoordinateSystem = 0\n", ""), "does not say in which coordinate system"),
        (SLICER_3.replace("x,y,z", "x,y"), "columns"),
        (SLICER_3.replace("label,x,y,z", "x,x,y,z"), "columns"),
        (SLICER_3.replace("1.0,2.0,3.0", "1.0,2.0,nan"), "point 1"),
        (SLICER_3.replace("4,5,6,1,1", "4,5"), "point 2"),
        (SLICER_3.replace("4,5,6,1,1", "4,5,6,1,1,more"), "point 2"),
        (SLICER_3.partition("L,1")[0], "no points"),
    ],
)
def test_malformed_fcsv_is_refused_with_a_remedy(tmp_path, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read_fcsv(saved(tmp_path / "a.fcsv", content))
    assert caught.value.remedy


def test_fcsv_cannot_say_that_a_point_is_not_placed(tmp_path):
    with pytest.raises(DataError, match="no place"):
        write_fcsv(tmp_path / "a.fcsv", PointList(np.full((1, 3), np.nan), ["a"]))


# --- tables


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("label,ras_x_mm,ras_y_mm,ras_z_mm", [1, 2, 3]),
        ("name,x_lps,y_lps,z_lps", [-1, -2, 3]),
        ("Landmark,X (RAS),Y (RAS),Z (RAS)", [1, 2, 3]),
        ("label,r,a,s", [1, 2, 3]),
        ("label,L,P,S", [-1, -2, 3]),
        ("point,lps x,lps y,lps z", [-1, -2, 3]),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_system_is_read_from_the_header(tmp_path, header, expected, separator):
    text = f"{header},note\napex,1,2,3,x\n".replace(",", separator)
    (points,) = read_point_table(saved(tmp_path / "a.csv", text)).values()
    assert points.points_mm.tolist() == [expected]
    assert points.labels == ["apex"]


def test_cases_are_kept_apart_and_empty_cells_have_no_place(tmp_path):
    text = "volume,landmark,ras_x_mm,ras_y_mm,ras_z_mm,vox_i\nA,1,1,2,3,9\nB,1,,,,9\nA,2,4,5,6,9\n"
    found = read_point_table(saved(tmp_path / "a.csv", text))
    assert found["A"].labels == ["1", "2"]
    assert not found["B"].defined.any()
    with pytest.raises(DataError, match="2 lists"):
        read_points(tmp_path / "a.csv")


def test_points_that_slicers_table_calls_undefined_have_no_place(tmp_path):
    text = "label,l,p,s,defined,selected\nF-1,1,2,3,1,1\nF-2,0,0,0,0,1\n"
    (points,) = read_point_table(saved(tmp_path / "a.csv", text)).values()
    assert points.defined.tolist() == [True, False]


def test_a_table_without_system_is_read_when_the_caller_knows_it(tmp_path):
    path = saved(tmp_path / "a.csv", "label,x_mm,y_mm,z_mm\na,1,2,3\n")
    with pytest.raises(DataError, match="does not say in which coordinate system") as caught:
        read_point_table(path)
    assert "ras_x_mm" in caught.value.remedy
    assert read_point_table(path, "LPS")[""].points_mm.tolist() == [[-1, -2, 3]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no points"),
        ("label,r,a,s\n", "no points"),
        ("label,ras_x_um,ras_y_um,ras_z_um\na,1,2,3\n", "um"),
        ("label,r,a,s\na,1,2\n", "line 2"),
        ("label,r,a,s\na,1,2,three\n", "line 2"),
        ("label,r,a,s\na,1,2,inf\n", "line 2"),
        ("label,r,a,s\na,1,,3\n", "line 2"),
        ("label,r,a\na,1,2\n", "coordinate system"),
    ],
)
def test_malformed_tables_are_refused_with_a_remedy(tmp_path, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read_point_table(saved(tmp_path / "a.csv", content))
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["gone.mrk.json", "gone.fcsv", "gone.csv"])
def test_a_missing_or_binary_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read"):
        read_points(tmp_path / name)
    (tmp_path / name).write_bytes(b"\xff\xfe\x00\x81" * 9)
    with pytest.raises(DataError):
        read_points(tmp_path / name)


# --- real files


@pytest.mark.real
def test_mouse_skull_landmarks_are_the_same_in_json_and_table(real_data):
    folder = real_data / "landmarks" / "mouse-skull-ct"
    table = read_point_table(folder / "landmarks_voxel.csv")
    files = sorted((folder / "landmarks").glob("*.mrk.json"))
    assert len(files) == len(table) == 20
    for file in files:
        points = read_points(file)
        other = table[file.name.removesuffix(".mrk.json")]
        assert len(points) == 45
        assert points.labels == other.labels
        assert np.abs(points.points_mm - other.points_mm).max() < 1e-3
        assert np.allclose(points.orientations, np.eye(3))
    with pytest.raises(DataError, match="coordinate system"):
        read_point_table(folder / "landmarks_aligned.csv")


@pytest.mark.real
def test_points_of_a_cochlea_lie_in_its_volume(real_data):
    import nibabel as nib

    folder = real_data / "landmarks" / "cochlea-example"
    image = nib.load(folder / "cochlea_L.nii.gz")
    files = sorted(folder.glob("*.fcsv"))
    assert len(files) == 6
    for file in files:
        points = read_points(file)
        voxels = points.points_mm @ np.linalg.inv(image.affine)[:3, :3].T + np.linalg.inv(image.affine)[:3, 3]
        assert ((voxels > -1) & (voxels < image.shape)).all()
    assert set(read_points(folder / "MdlDvLc_Pt.fcsv").labels) == {"F-1", "F-2"}
    assert len(set(read_points(folder / "MdlDvLc_StLtPt.fcsv").labels)) < len(
        read_points(folder / "MdlDvLc_StLtPt.fcsv")
    )
