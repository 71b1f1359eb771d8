"""Results folders, drawn for the page."""

import hashlib
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from gracile.errors import DataError, UsageError
from gracile.recipe import ClassSpec, InputSpec
from gracile.report.page import viewer_page
from gracile.serve import ServeSettings
from gracile.serve.drawing import build_scene
from gracile.serve.page import NIIVUE, STATIC
from gracile.serve.results_folder import read_results
from gracile.serve.scene import CaseFiles
from gracile.serve.viewing import create_viewer
from tests.serve.engines import CLASSES
from tests.volumes_on_disk import write_itk, write_series

SPECS = [ClassSpec(**entry) for entry in CLASSES]


def case_files(results: Path, name: str, cache: Path, truth: Path | None = None) -> CaseFiles:
    """A case of a results folder, as the viewer would draw it."""
    folder = read_results(results)
    record = next(record for record in folder.records if record["name"] == name)
    return CaseFiles(record, SPECS, folder.folder, folder.source(record), truth, cache, InputSpec(**folder.wanted))


def test_a_picture_has_classes_truth_differences_and_attention(picture_results: Path, tmp_path: Path) -> None:
    truth = picture_results.parent / "labels" / "plain.png"
    scene = build_scene(case_files(picture_results, "plain", tmp_path, truth))
    groups = [layer["group"] for layer in scene.content["layers"]]
    assert groups == ["Found"] * 2 + ["Truth"] * 2 + ["Differences"] * 3 + ["Attention"]
    assert all(Path(entry["path"]).is_file() for entry in scene.files.values())


@pytest.mark.parametrize("named", [True, False])
def test_maps_of_regions_bear_the_regions_names(picture_results: Path, tmp_path: Path, named: bool) -> None:
    copy = shutil.copytree(picture_results, tmp_path / "copy")
    names = {"maps": np.array(["background", "both", "second"])} if named else {}
    (copy / "probabilities").mkdir()
    np.savez(copy / "probabilities" / "plain.npz", probabilities=np.zeros((3, 80, 120), np.float16), **names)
    content = json.loads((copy / "predictions.json").read_text())
    content["inputs"][0]["files"]["probabilities"] = "probabilities/plain.npz"
    (copy / "predictions.json").write_text(json.dumps(content))
    scene = build_scene(case_files(copy, "plain", tmp_path))
    shown = [layer["name"] for layer in scene.content["layers"] if layer["group"] == "Probability"]
    assert shown == (["both", "second"] if named else [spec.name for spec in SPECS[1:3]])


def test_a_mask_is_shown_without_its_input(picture_results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(picture_results, tmp_path / "copy")
    content = json.loads((copy / "predictions.json").read_text())
    content["inputs"][0]["input"] = "gone.png"
    (copy / "predictions.json").write_text(json.dumps(content))
    scene = build_scene(case_files(copy, "plain", tmp_path))
    assert scene.content["picture"] == {"width": 120, "height": 80, "base": "base"}
    assert any("not where it was" in flag for flag in scene.content["flags"])


def test_files_outside_the_folder_are_not_offered(picture_results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(picture_results, tmp_path / "copy")
    (tmp_path / "secret.png").write_bytes(b"secret")
    content = json.loads((copy / "predictions.json").read_text())
    content["inputs"][0]["files"] = {"mask": "plain.png", "other": "../secret.png", "more": "/etc/passwd"}
    (copy / "predictions.json").write_text(json.dumps(content))
    scene = build_scene(case_files(copy, "plain", tmp_path))
    assert {"other", "more"}.isdisjoint(scene.files)


def test_a_volume_has_its_scan_its_maps_and_places_to_jump_to(volume_results: Path, tmp_path: Path) -> None:
    content = build_scene(case_files(volume_results, "scan", tmp_path)).content
    volume = content["volume"]
    assert (volume["image"], volume["mask"]) == ("image", "mask")
    assert volume["maps"] == [{"key": "probabilities", "name": "Probabilities", "frames": 3}]
    assert [group["curve"] for group in volume["points"]] == [False, True]
    findings = {finding["label"]: finding["mm"] for finding in volume["findings"]}
    assert findings["apex"] == [5.0, -6.0, 10.0]  # Slicer counts to the left and back, the page to the right and front
    assert findings["artery"] == pytest.approx([2.0, -1.5, -1.0], abs=1.5)
    assert content["measurements"][0]["unit"] == "mm"
    profile = volume["profile"]["points"]
    assert [(point["x"], point["y"], point["level"]) for point in profile[::28]] == [(0, 44, "C4"), (56, 41, "C2")]
    assert profile[0]["mm"] == volume["points"][1]["points"][-1]["mm"]


def test_a_series_and_labels_of_other_formats_are_shown_as_nifti(volume_results: Path, tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    series = write_series(tmp_path / "series", values, affine)
    labels = write_itk(tmp_path / "labels.nrrd", (values > 30).astype(np.uint8), affine)
    copy = shutil.copytree(volume_results, tmp_path / "copy")
    content = json.loads((copy / "predictions.json").read_text())
    content["inputs"][0]["input"] = str(series)
    (copy / "predictions.json").write_text(json.dumps(content))
    (tmp_path / "cache").mkdir()
    scene = build_scene(case_files(copy, "scan", tmp_path / "cache", labels))
    shown = {key: nibabel.load(scene.files[key]["path"]) for key in ("image", "truth")}
    np.testing.assert_array_equal(np.asarray(shown["image"].dataobj), values)
    np.testing.assert_array_equal(np.asarray(shown["truth"].dataobj), values > 30)
    assert all(np.allclose(image.affine, affine, atol=1e-3) for image in shown.values())


def test_a_scan_that_is_damaged_leaves_the_mask_to_be_looked_at(volume_results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(volume_results, tmp_path / "copy")
    (tmp_path / "scan.nii.gz").write_bytes(b"no scan")
    content = json.loads((copy / "predictions.json").read_text())
    content["inputs"][0]["input"] = str(tmp_path / "scan.nii.gz")
    (copy / "predictions.json").write_text(json.dumps(content))
    scene = build_scene(case_files(copy, "scan", tmp_path))
    assert scene.content["volume"]["image"] is None
    assert scene.content["volume"]["mask"] == "mask"
    assert any("the scan cannot be shown" in flag for flag in scene.content["flags"])


def test_a_clip_has_both_films_and_its_timeline(video_results: Path, tmp_path: Path) -> None:
    scene = build_scene(case_files(video_results, "clip", tmp_path))
    video = scene.content["video"]
    assert video["frames"]["gates"] == {"presence": [0.0, 0.1, 0.2, 0.3, 0.4]}
    assert video["frames"]["areas"]["artery"][4] == 400
    assert Path(scene.files["base"]["path"]).name == "base.mp4"  # browsers cannot play the AVI


def test_a_folder_without_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no predictions\.json"):
        create_viewer(tmp_path, tmp_path)


def test_a_server_that_others_reach_needs_a_token() -> None:
    with pytest.raises(UsageError, match="no token guards it"):
        ServeSettings(("retina-av",), host="0.0.0.0")
    assert ServeSettings(("retina-av",), host="0.0.0.0", token="secret").host == "0.0.0.0"


def test_the_vendored_viewer_is_the_one_that_its_licence_names() -> None:
    licence = (STATIC / "niivue/LICENSE.txt").read_text()
    assert hashlib.sha256((STATIC / NIIVUE).read_bytes()).hexdigest() in licence
    assert "BSD 2-Clause License" in licence


def test_the_page_names_no_other_machine_and_holds_no_inline_script() -> None:
    page = viewer_page("Gracile", "")
    assert "://" not in page
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script type="module" src=')
    assert all("innerHTML" not in script.read_text() for script in STATIC.glob("*.js"))
    sizes = sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file())
    assert sizes < 3_000_000
