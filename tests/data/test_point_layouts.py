"""Volumes and their points are found as people lay them out, in one coordinate system, or refused with the reason."""

import json
from pathlib import Path

import numpy as np
import pytest

from gracile.data import check_data, find_cases, fingerprint, labeled, read_case, select
from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io import write_points
from gracile.recipe import Recipe, read_recipe
from tests.volumes_on_disk import write_itk, write_nifti

SHAPE = (20, 24, 16)
AFFINE = np.array([[0.5, 0, 0, -20.0], [0, 0.5, 0, -30.0], [0, 0, 0.5, 40.0], [0, 0, 0, 1.0]])
PLACES = {"apex": np.array([-15.0, -25.0, 43.0]), "basal": np.array([-12.0, -22.0, 46.0])}


@pytest.fixture
def recipe() -> Recipe:
    return read_recipe("cochlea-landmarks-published", ["landmarks=[{name: apex}, {name: basal}]"])


def volume(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 99, SHAPE).astype(np.int16)
    return write_itk(path, values, AFFINE) if path.suffix == ".nrrd" else write_nifti(path, values, AFFINE)


def points(path: Path, places: dict[str, np.ndarray] | None = None, shift: float = 0.0) -> Path:
    places = PLACES if places is None else places
    path.parent.mkdir(parents=True, exist_ok=True)
    write_points(path, PointList(np.stack(list(places.values())) + shift, list(places)))
    return path


def assert_places(case, shift: float = 0.0) -> None:
    assert list(case.points) == list(PLACES)
    for name, place in PLACES.items():
        np.testing.assert_allclose(case.points[name], place + shift, atol=1e-6)


@pytest.mark.parametrize("suffix", [".mrk.json", ".fcsv", ".csv"])
@pytest.mark.parametrize(("images", "marks"), [("volumes", "landmarks"), ("images", "points"), (".", ".")])
def test_points_are_those_of_the_volume_s_name(tmp_path, recipe, suffix, images, marks):
    for index, name in enumerate(("A_J", "B_J")):
        volume(tmp_path / images / f"{name}.nii.gz", index)
        points(tmp_path / marks / f"{name}{suffix}", shift=float(index))
    cases = find_cases(tmp_path, recipe)
    assert [(case.id, case.subject) for case in cases] == [("A_J", "A_J"), ("B_J", "B_J")]
    assert labeled(cases) == cases
    for index, files in enumerate(cases):
        assert_places(read_case(files, recipe), float(index))
    report = check_data(tmp_path, recipe)
    assert (report.labeled, report.problems) == (2, [])


def test_of_several_files_of_points_one_is_taken_and_the_check_says_which(tmp_path, recipe):
    volume(tmp_path / "A_J.nii.gz")
    for suffix in (".csv", ".fcsv"):
        points(tmp_path / f"A_J{suffix}")
    (found,) = check_data(tmp_path, recipe).problems
    assert found.message == "Of its points A_J.fcsv are taken, not A_J.csv."
    assert found.remedy == "Remove the others."


def test_each_side_of_a_case_is_a_case_of_one_subject(tmp_path, recipe):
    for number, name in enumerate(("0002", "0003")):
        volume(tmp_path / name / f"{name}.nrrd", number)
        for side, shift in (("left", 0.0), ("right", 1.0)):
            points(tmp_path / name / side / "GT" / "Apex.fcsv", {"apex": PLACES["apex"]}, shift)
            points(tmp_path / name / side / "GT" / "Basal.fcsv", {"basal": PLACES["basal"]}, shift)
    cases = find_cases(tmp_path, recipe)
    assert [(case.id, case.subject) for case in cases] == [
        ("0002-left", "0002"), ("0002-right", "0002"), ("0003-left", "0003"), ("0003-right", "0003")
    ]  # fmt: skip
    for files in cases:
        assert_places(read_case(files, recipe), 1.0 if files.id.endswith("right") else 0.0)
    assert check_data(tmp_path, recipe).problems == []
    prints = fingerprint(cases, recipe.input)["files"]
    assert prints["0002-left"]["sha256"] != prints["0002-right"]["sha256"]
    assert [case.id for case in select(cases, include="0002-right")] == ["0002-right"]


def test_a_case_folder_with_several_volumes_names_the_one_meant(tmp_path, recipe):
    volume(tmp_path / "0002" / "thin.nrrd")
    volume(tmp_path / "0002" / "thick.nrrd")
    points(tmp_path / "0002" / "left" / "GT" / "Cochlea.fcsv")
    with pytest.raises(DataError, match="2 volumes, none named 0002"):
        find_cases(tmp_path, recipe)


@pytest.mark.parametrize("beside", [True, False])
def test_a_table_holds_the_points_of_all_cases(tmp_path, recipe, beside):
    rows = ["volume,landmark,ras_x_mm,ras_y_mm,ras_z_mm"]
    for index, name in enumerate(("A", "B")):
        volume(tmp_path / ("." if beside else "volumes") / f"{name}.nii.gz", index)
        rows += [f"{name},{label},{','.join(str(v + index) for v in place)}" for label, place in PLACES.items()]
    (tmp_path / "landmarks.csv").write_text("\n".join(rows))
    cases = find_cases(tmp_path, recipe)
    assert [case.id for case in cases] == ["A", "B"]
    for index, files in enumerate(cases):
        assert_places(read_case(files, recipe), float(index))


def in_voxels(shift: float = 0.0) -> dict[str, list[float]]:
    back = np.linalg.inv(AFFINE)
    return {name: [float(v) for v in back[:3, :3] @ (p + shift) + back[:3, 3]] for name, p in PLACES.items()}


def test_nnlandmark_s_data_set_is_taken_as_it_lies(tmp_path, recipe):
    for index, name in enumerate(("sub-01", "sub-02", "sub-03")):
        volume(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", index)
    marks = {"sub-01": in_voxels(), "sub-02": in_voxels(1.0), "test-case": in_voxels()}
    (tmp_path / "all_landmarks_voxel.json").write_text(json.dumps(marks))
    (tmp_path / "labelsTr").mkdir()
    cases = find_cases(tmp_path, recipe)
    assert [case.id for case in cases] == ["sub-01", "sub-02", "sub-03"]
    assert [case.id for case in labeled(cases)] == ["sub-01", "sub-02"]
    for index, files in enumerate(labeled(cases)):
        assert_places(read_case(files, recipe), float(index))
    (problem,) = check_data(tmp_path, recipe).problems
    assert (Path(problem.file).name, problem.message) == ("sub-03_0000.nii.gz", "The volume has no points.")
    (tmp_path / "imagesTr" / "sub-03_0000.nii.gz").rename(tmp_path / "imagesTr" / "sub-03.nii.gz")
    with pytest.raises(DataError, match="lacks the channel suffix"):
        find_cases(tmp_path, recipe)
    (tmp_path / "imagesTr" / "sub-03.nii.gz").unlink()
    (tmp_path / "all_landmarks_voxel.json").write_text("[]")
    with pytest.raises(DataError, match="no landmarks by case"):
        find_cases(tmp_path, recipe)


def test_a_csv_of_paths_takes_points_in_voxels(tmp_path, recipe):
    volume(tmp_path / "scan.nii.gz")
    prediction = {str(n): {"coordinates": p, "likelihood": 0.5} for n, p in enumerate(in_voxels().values(), start=1)}
    (tmp_path / "other.json").write_text(json.dumps(prediction))
    (tmp_path / "name_to_label.json").write_text(json.dumps({"apex": 1, "basal": 2}))
    (tmp_path / "all.json").write_text(json.dumps({"scan": in_voxels(2.0)}))
    for name, shift in (("other", 0.0), ("all", 2.0)):
        (tmp_path / "data.csv").write_text(f"image,points\nscan.nii.gz,{name}.json\n")
        (files,) = find_cases(tmp_path / "data.csv", recipe)
        assert_places(read_case(files, recipe), shift)
    (tmp_path / "all.json").write_text(json.dumps({"else": in_voxels()}))
    with pytest.raises(DataError, match="no points of scan"):
        read_case(files, recipe)
    (tmp_path / "all.json").write_text(json.dumps({"scan": in_voxels()}))
    (tmp_path / "scan.nii.gz").write_bytes(b"no volume")
    assert any(
        "image is not known" in problem.message for problem in check_data(tmp_path / "data.csv", recipe).problems
    )


def test_a_csv_of_paths_pairs_any_names_and_a_table_counts_for_its_case_alone(tmp_path, recipe):
    volume(tmp_path / "scan.nii.gz")
    points(tmp_path / "expert one.fcsv")
    (tmp_path / "all.csv").write_text("case,label,lps_x_mm,lps_y_mm,lps_z_mm\nother,apex,1,2,3\n")
    (tmp_path / "data.csv").write_text("image,points,subject,id\nscan.nii.gz,expert one.fcsv,p1,left\n")
    (files,) = find_cases(tmp_path / "data.csv", recipe)
    assert (files.id, files.subject) == ("left", "p1")
    assert_places(read_case(files, recipe))
    (tmp_path / "data.csv").write_text("image,points\nscan.nii.gz,all.csv\n")
    (files,) = find_cases(tmp_path / "data.csv", recipe)
    with pytest.raises(DataError, match="no points of scan"):
        read_case(files, recipe)


def test_volumes_without_points_teach_nothing_and_are_told(tmp_path, recipe):
    for index, name in enumerate("AB"):
        volume(tmp_path / "volumes" / f"{name}.nii.gz", index)
    points(tmp_path / "landmarks" / "A.fcsv")
    points(tmp_path / "landmarks" / "C.fcsv")
    cases = find_cases(tmp_path, recipe)
    assert [case.id for case in labeled(cases)] == ["A"]
    problems = [(Path(p.file).name, p.message) for p in check_data(tmp_path, recipe).problems]
    assert ("B.nii.gz", "The volume has no points.") in problems
    assert ("C.fcsv", "It belongs to no image.") in problems


def test_names_that_come_twice_are_refused_among_landmarks_and_allowed_in_curves(tmp_path, recipe):
    volume(tmp_path / "A.nii.gz")
    names = ["apex", "basal", "curve", "curve"]
    places = np.stack([*PLACES.values(), PLACES["apex"], PLACES["basal"]])
    write_points(tmp_path / "A.fcsv", PointList(places, names))
    case = read_case(find_cases(tmp_path, recipe)[0], recipe)
    assert set(case.points) == {"apex", "basal", "curve"}
    write_points(tmp_path / "A.fcsv", PointList(places, ["apex", "basal", "apex", "curve"]))
    with pytest.raises(DataError, match="'apex' a second time"):
        read_case(find_cases(tmp_path, recipe)[0], recipe)
    assert "'apex' a second time" in check_data(tmp_path, recipe).errors[0].message


@pytest.mark.parametrize("header", ["", "# CoordinateSystem = scanner\n", "# CoordinateSystem = 2\n"])
def test_a_coordinate_system_is_asserted_never_guessed(tmp_path, recipe, header):
    volume(tmp_path / "A.nii.gz")
    path = points(tmp_path / "A.fcsv")
    path.write_text(path.read_text().replace("# CoordinateSystem = LPS\n", header))
    with pytest.raises(DataError, match=r"coordinate system|IJK"):
        read_case(find_cases(tmp_path, recipe)[0], recipe)
    assert len(check_data(tmp_path, recipe).errors) == 1


def test_points_outside_and_too_few_points_are_found_by_the_check(tmp_path, recipe):
    volume(tmp_path / "A.nii.gz", 0)
    points(tmp_path / "A.fcsv", {**PLACES, "basal": PLACES["basal"] * (-1, -1, 1)})
    volume(tmp_path / "B.nii.gz", 1)
    points(tmp_path / "B.fcsv", {"apex": PLACES["apex"]})
    messages = [problem.message for problem in check_data(tmp_path, recipe).errors]
    assert any("'basal' lies outside of the volume" in message for message in messages)
    assert any("1 of the recipe's 2 landmarks: basal missing" in message for message in messages)


def test_a_point_without_a_place_is_missing(tmp_path, recipe):
    volume(tmp_path / "A.nii.gz")
    places = np.stack([PLACES["apex"], np.full(3, np.nan)])
    write_points(tmp_path / "A.mrk.json", PointList(places, list(PLACES)))
    assert "basal missing" in check_data(tmp_path, recipe).errors[0].message


@pytest.mark.real
def test_the_real_skulls_are_read_with_all_points_inside(real_data):
    folder = real_data / "landmarks" / "mouse-skull-ct"
    if not folder.is_dir():
        pytest.skip("GRACILE_DATA has no skulls")
    names = [str(n) for n in range(1, 52) if n not in (23, 26, 34, 35, 45, 48)]
    recipe = read_recipe("cochlea-landmarks-published", [f"landmarks=[{', '.join(f'{{name: {n!r}}}' for n in names)}]"])
    cases = find_cases(folder, recipe)
    assert len(labeled(cases)) == 20
    from gracile.transforms import prepare

    prepared = prepare(read_case(cases[0], recipe), recipe)[0]
    assert list(prepared.points) == names
