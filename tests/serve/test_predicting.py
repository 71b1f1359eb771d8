"""The engine that really predicts."""

import csv
import zipfile
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from PIL import Image

from gracile.bundle import Bundle, write_bundle
from gracile.errors import DataError
from gracile.io.video_writing import write_video
from gracile.learning.learners import build_learner
from gracile.recipe import read_recipe
from gracile.serve.predicting import PredictingEngine
from gracile.serve.scene import Scene
from tests.conftest import draw_fundus
from tests.io.dicom.test_segmentations import write_picture


def ask(engine: PredictingEngine, source: Path, model: str, name: str, frames: int = 1) -> tuple[Scene, list[dict]]:
    """The scene of a file and the news on the way."""
    news: list[dict] = []
    request = {
        "source": str(source), "folder": str(source.parent), "model": model, "name": name, "frames": frames,
        "group": "video" if frames > 1 else "picture", "probabilities": True,
    }  # fmt: skip
    engine(request, news.append)
    return Scene.read(source.parent / "scene.json"), news


def test_a_photograph_becomes_a_scene_with_tables_and_an_archive(tiny_bundle: Path, tmp_path: Path) -> None:
    image, _, _ = draw_fundus(1)
    Image.fromarray(image).save(tmp_path / "input.png")
    scene, news = ask(PredictingEngine([str(tiny_bundle)]), tmp_path / "input.png", "tiny", "left eye.png")
    assert scene.content["status"] == "found"
    assert scene.content["name"] == "left eye.png"
    assert {layer["group"] for layer in scene.content["layers"]} == {"Found", "Probability"}
    assert {"step": "vessels", "done": 0, "total": 1} in news
    mask = np.asarray(Image.open(scene.files["mask"]["path"]))
    assert mask.shape == image.shape[:2]
    with open(scene.files["rle-0"]["path"], newline="") as file:  # noqa: PTH123
        (row,) = csv.DictReader(file)
    assert row["img"] == "left eye"
    with zipfile.ZipFile(scene.files["all"]["path"]) as archive:
        assert "left_eye-mask.png" in archive.namelist()
    record = Path(scene.files["record"]["path"]).read_text()
    assert str(tmp_path) not in record


def test_a_dicom_picture_also_gives_a_segmentation_of_it(tiny_bundle: Path, tmp_path: Path) -> None:
    image, _, _ = draw_fundus(1)
    write_picture(tmp_path / "input.dcm", *image.shape[:2], PixelData=image.tobytes())
    scene, _ = ask(PredictingEngine([str(tiny_bundle)]), tmp_path / "input.dcm", "tiny", "eye.dcm")
    seg = hd.seg.segread(scene.files["segmentation"]["path"])
    mask = np.asarray(Image.open(scene.files["mask"]["path"]))
    labels = [seg.get_segment_description(number).segment_label for number in seg.segment_numbers]
    assert labels == ["artery", "vein", "uncertain"]
    assert seg.pixel_array.sum() == (mask > 0).sum()
    assert "Segmentation (DICOM-SEG)" in [download["label"] for download in scene.content["downloads"]]


def test_a_picture_of_the_wrong_kind_fails_with_the_reason(tiny_bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(tmp_path / "input.png")
    with pytest.raises(DataError):
        ask(PredictingEngine([str(tiny_bundle)]), tmp_path / "input.png", "tiny", "gray.png")


def test_a_clip_becomes_a_scene_with_a_timeline_and_tells_its_frames(tmp_path: Path) -> None:
    from fractions import Fraction

    quick = ["prepare.diameter=64", "stages.segment.network.name=light-unet"]
    recipe = read_recipe("structure-2d", [*quick, "stages.segment.network.options={width: 16}"])
    stage = build_learner(recipe.stages[0], recipe)
    write_bundle(Bundle(recipe=recipe, weights={stage.name: stage.bundle_state()}, card={}), tmp_path / "clips")
    (tmp_path / "job").mkdir()
    with write_video(tmp_path / "job/input.mp4", (64, 64), Fraction(10), Fraction(1, 10)) as writer:
        for frame in range(4):
            writer.write(np.full((64, 64, 3), 60 * frame, np.uint8), frame)
    engine = PredictingEngine([str(tmp_path / "clips")])
    scene, news = ask(engine, tmp_path / "job/input.mp4", "clips", "clip.mp4", frames=4)
    assert scene.content["kind"] == "video"
    assert len(scene.content["video"]["frames"]["time"]) == 4
    assert any(item.get("total") == 4 for item in news)
    assert scene.files["base"]["path"].endswith("input.mp4")
