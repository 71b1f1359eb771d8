"""Videos through a pipeline: a clip and a table out, truncated ones, smoothing, truth beside it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gracile.bundle import Bundle, write_bundle
from gracile.cli import app
from gracile.errors import DataError, UsageError
from gracile.inference import Options, VideoOptions, find_inputs, predict
from gracile.inference.video import predict_video
from gracile.learning.learners import build_learner
from gracile.recipe import read_recipe
from gracile.trust.unlike import Likeness
from tests.inference.clips import SETTINGS, Bright, frame, frames_of, measured, rows_of, write_clip

MODEL = {"name": "bright", "weights": {"segment": "12ab"}}


@pytest.fixture(scope="module")
def recipe():
    return read_recipe("structure-2d", SETTINGS)


@pytest.fixture(scope="module")
def pipeline(recipe):
    return Bright(recipe)


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clips" / "clip.avi", [frame(index != 3) for index in range(8)])


def test_a_clip_becomes_a_clip_of_as_many_frames_and_a_table_of_as_many_rows(pipeline, clip, tmp_path):
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())
    assert record["files"] == {"video": "clip.mp4", "frames": "clip.csv"}
    assert (record["status"], record["reason"]) == ("found", "")
    assert measured(record, "frames") == 8
    assert measured(record, "frames_found") == 7
    assert measured(record, "area_mean") == pytest.approx(320, abs=5)
    assert measured(record, "status_changes") == 2
    assert record["seconds"].keys() == {"decode", "prepare", "segment", "restore", "paint", "encode", "whole"}
    rows = rows_of(tmp_path / "out" / "clip.csv")
    assert [row["frame"] for row in rows] == [str(index) for index in range(8)]
    assert [float(row["time_s"]) for row in rows] == [index / 10 for index in range(8)]
    assert [row["class"] for row in rows] == ["structure"] * 3 + ["absent"] + ["structure"] * 4
    assert all(0.8 < float(row["p_presence"]) <= 1 for row in rows if row["class"] == "structure")
    assert [int(row["area_px_structure"]) > 300 for row in rows] == [index != 3 for index in range(8)]
    assert all(float(row[f"{step}_ms"]) >= 0 for row in rows for step in ("decode", "prepare", "paint", "encode"))
    shown = frames_of(tmp_path / "out" / "clip.mp4")
    assert [one.seconds for one in shown] == pytest.approx([index / 10 for index in range(8)])
    inside, outside = shown[0].image[24, 30].astype(int), shown[0].image[40, 50].astype(int)
    assert np.abs(inside - (176, 227, 176)).max() < 12  # 220 at 80 %, green at 20 %
    assert np.abs(outside - 30).max() < 12


def test_times_that_vary_and_odd_sizes_are_kept(pipeline, tmp_path):
    milliseconds = [0, 20, 140, 150, 400]
    path = tmp_path / "odd.mp4"
    write_clip(path, [frame()] * 5, milliseconds)
    predict_video(pipeline, path, "vfr", tmp_path, VideoOptions())
    assert [one.seconds for one in frames_of(tmp_path / "vfr.mp4")] == [value / 1000 for value in milliseconds]
    assert [float(row["time_s"]) for row in rows_of(tmp_path / "vfr.csv")] == [value / 1000 for value in milliseconds]
    write_clip(tmp_path / "odd.avi", [frame(height=47, width=61)] * 2)
    for suffix, size in (("mp4", (48, 62, 3)), ("avi", (47, 61, 3))):
        predict_video(pipeline, tmp_path / "odd.avi", f"out-{suffix}", tmp_path, VideoOptions(format=suffix))
        assert frames_of(tmp_path / f"out-{suffix}.{suffix}")[0].image.shape == size


def test_a_truncated_clip_is_kept_as_far_as_it_goes_and_flagged(pipeline, clip, tmp_path):
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 6 // 10])
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())
    assert record["status"] == "found"
    assert any("truncated" in flag for flag in record["flags"])
    rows = rows_of(tmp_path / "out" / "clip.csv")
    assert 0 < len(rows) < 8
    assert len(frames_of(tmp_path / "out" / "clip.mp4")) == len(rows) == measured(record, "frames")


def test_a_clip_without_a_finding_is_absent_with_a_reason(pipeline, tmp_path):
    path = write_clip(tmp_path / "dark.avi", [frame(False)] * 3)
    record = predict_video(pipeline, path, "dark", tmp_path / "out", VideoOptions())
    assert (record["status"], record["reason"]) == ("absent", "nothing was found in any of 3 frames")
    assert measured(record, "area_mean") is None


def refuse(monkeypatch, numbers: set[int]) -> None:
    plain = Bright.__call__

    def refusing(self, case, **more):
        if int(case.id.rpartition(" ")[2]) in numbers:
            raise DataError(f"{case.id} is of the wrong kind.")
        return plain(self, case, **more)

    monkeypatch.setattr(Bright, "__call__", refusing)


def test_a_frame_that_fails_is_a_row_with_the_reason_and_stops_no_other(pipeline, clip, tmp_path, monkeypatch):
    refuse(monkeypatch, {0, 4})
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())
    rows = rows_of(tmp_path / "out" / "clip.csv")
    assert [row["class"] for row in rows].count("failed") == 2
    assert "wrong kind" in rows[0]["reason"]
    assert rows[1]["p_presence"]
    assert len(frames_of(tmp_path / "out" / "clip.mp4")) == 8
    assert record["status"] == "found"
    assert any("2 of 8 frames failed" in flag for flag in record["flags"])


def test_a_frame_keeps_its_mask_where_its_comparison_with_ordinary_ones_fails(pipeline, clip, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no such figure")

    monkeypatch.setattr("gracile.inference.answering.case_flags", fail)
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())
    assert record["status"] == "found"
    assert "the comparison with ordinary cases failed (8 of 8 frames)" in record["flags"]


def test_a_clip_is_as_unlike_the_training_images_as_its_frames_on_average(pipeline, clip, tmp_path, monkeypatch):
    assert predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())["unlike"] is None
    values = iter(range(8))
    monkeypatch.setattr(
        type(pipeline.unlike), "likeness", lambda self, samples: Likeness(next(values) / 2, False, False, "its size")
    )
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())
    assert record["unlike"] == pytest.approx(1.75)
    assert "the input is unlike the training images: its size (6 of 8 frames)" in record["flags"]


def test_a_clip_of_which_every_frame_fails_fails_with_the_reason_and_no_file(pipeline, clip, tmp_path, monkeypatch):
    refuse(monkeypatch, set(range(8)))
    with pytest.raises(DataError, match=r"None of 8 frames.*wrong kind"):
        predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions())
    assert not list((tmp_path / "out").iterdir())


def write_truth(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        label = np.zeros((48, 64), np.uint8)
        label[16:32, 20:40] = 255
        Image.fromarray(label).save(folder / f"{index:03d}.png")
    return folder


def test_truth_is_shown_beside_the_answer_and_scored(pipeline, clip, tmp_path):
    write_truth(tmp_path / "truth" / "clip", 8)
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions(truth=tmp_path / "truth"))
    shown = frames_of(tmp_path / "out" / "clip.mp4")
    assert shown[0].image.shape == (48, 128, 3)
    left, right = shown[3].image[24, 30].astype(int), shown[3].image[24, 94].astype(int)
    assert left[1] - left[0] < 15  # nothing found in the dark frame
    assert right[1] - right[0] > 30  # and still something true in it
    scores = [float(row["dice_structure"]) for row in rows_of(tmp_path / "out" / "clip.csv")]
    assert [score > 0.95 for score in scores] == [index != 3 for index in range(8)]
    assert measured(record, "dice") == pytest.approx(np.mean(scores), abs=1e-3)
    assert not [flag for flag in record["flags"] if "label" in flag or "truth" in flag]


def test_smoothing_is_scored_with_and_without(pipeline, clip, tmp_path):
    write_truth(tmp_path / "truth", 8)
    options = VideoOptions(truth=tmp_path / "truth", smooth=0.2)
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", options)
    rows = rows_of(tmp_path / "out" / "clip.csv")
    assert {row["class"] for row in rows} == {"structure"}  # the dark frame is bridged
    assert float(rows[3]["dice_structure"]) > 0.9
    assert float(rows[3]["dice_structure_unsmoothed"]) == 0
    assert measured(record, "status_changes_unsmoothed") == 2
    assert measured(record, "status_changes", "after") == 0
    assert measured(record, "dice_unsmoothed") < measured(record, "dice", "after")


def test_truth_of_some_frames_is_named_by_a_table(pipeline, clip, tmp_path):
    truth = write_truth(tmp_path / "truth", 2)
    (truth / "frames.csv").write_text("frame,name\n1,000\n6,001\n")
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions(truth=truth))
    scored = [row["frame"] for row in rows_of(tmp_path / "out" / "clip.csv") if row["dice_structure"]]
    assert scored == ["1", "6"]
    assert not [flag for flag in record["flags"] if "label" in flag or "truth" in flag]
    (truth / "frames.csv").write_text("frame,name\n1,absent\n")
    with pytest.raises(DataError, match=r"frames\.csv"):
        predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions(truth=truth, format="avi"))


def test_fewer_labels_than_frames_are_flagged_and_none_or_others_refused(pipeline, clip, tmp_path):
    truth = write_truth(tmp_path / "truth", 5)
    record = predict_video(pipeline, clip, "clip", tmp_path / "out", VideoOptions(truth=truth))
    assert any("5 labels for 8 frames" in flag for flag in record["flags"])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(truth / "004.png")
    with pytest.raises(DataError, match="004"):
        predict_video(pipeline, clip, "clip", tmp_path / "none", VideoOptions(truth=truth))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no labels"):
        predict_video(pipeline, clip, "clip", tmp_path / "none", VideoOptions(truth=tmp_path / "empty"))
    assert not list((tmp_path / "none").glob("*"))


@pytest.mark.parametrize("wrong", [{"opacity": 1.5}, {"smooth": -1}, {"format": "gif"}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError):
        VideoOptions(**wrong)


def run(pipeline, patterns, out, **options):
    def observe(case, result, record):
        pass

    inputs = find_inputs([str(pattern) for pattern in patterns])
    return predict(pipeline, MODEL, inputs, out, Options(**options), observe)


def test_pictures_videos_and_bad_ones_are_predicted_in_one_run(pipeline, clip, tmp_path):
    folder = clip.parent
    Image.fromarray(frame()).save(folder / "picture.png")
    (folder / "empty.mp4").touch()
    write_truth(tmp_path / "sequence", 3)
    summary = run(pipeline, [folder, f"frames:{tmp_path / 'sequence'}", "camera:987"], tmp_path / "out")
    assert summary.answered == ["clip", "picture", "sequence"]
    assert "zero bytes" in summary.failed["empty"]
    assert "no camera 987" in summary.failed["camera-987"]
    records = {r["name"]: r for r in json.loads((tmp_path / "out" / "predictions.json").read_text())["inputs"]}
    assert records["clip"]["files"] == {"video": "clip.mp4", "frames": "clip.csv"}
    assert records["picture"]["files"] == {"mask": "picture.png"}
    assert len(rows_of(tmp_path / "out" / "sequence.csv")) == 3
    again = run(pipeline, [folder, f"frames:{tmp_path / 'sequence'}"], tmp_path / "out")
    assert again.reused == ["clip", "picture", "sequence"]
    with pytest.raises(UsageError, match="other settings"):
        run(pipeline, [folder], tmp_path / "out", video=VideoOptions(contour=True))


def test_truth_is_refused_for_pictures_which_it_would_not_score(pipeline, clip, tmp_path):
    Image.fromarray(frame()).save(clip.parent / "picture.png")
    truth = write_truth(tmp_path / "truth", 8)
    for patterns in ([clip.parent / "picture.png"], [clip.parent]):
        with pytest.raises(UsageError, match=r"picture\.png is a picture.*gracile evaluate .*segmentation"):
            run(pipeline, patterns, tmp_path / "out", video=VideoOptions(truth=truth))
    assert not (tmp_path / "out").exists()
    assert run(pipeline, [clip], tmp_path / "out", video=VideoOptions(truth=truth)).answered == ["clip"]


def test_no_old_clip_passes_for_the_answer_of_one_that_now_fails_or_has_another_format(pipeline, clip, tmp_path):
    out = tmp_path / "out"
    run(pipeline, [clip], out)
    run(pipeline, [clip], out, video=VideoOptions(format="avi"), overwrite=True)
    kept = {".gracile", "cases.csv", "measurements.csv", "predictions.json"}
    assert {path.name for path in out.iterdir()} == {"clip.avi", "clip.csv", *kept}
    clip.write_bytes(b"")
    run(pipeline, [clip], out, video=VideoOptions(format="avi"))
    assert {path.name for path in out.iterdir()} == kept


def test_the_command_line_predicts_a_clip(recipe, clip, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stage = build_learner(recipe.stages[0], recipe)
    bundle = write_bundle(Bundle(recipe=recipe, weights={stage.name: stage.bundle_state()}, card={}), tmp_path / "b")
    command = ["predict", str(bundle), str(clip), "--out", str(tmp_path / "out"), "--contour", "--smooth", "0.2"]
    done = CliRunner().invoke(app, [*command, "--video-format", "avi", "--overlay-opacity", "0.5", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert len(rows_of(tmp_path / "out" / "clip.csv")) == len(frames_of(tmp_path / "out" / "clip.avi")) == 8
    assert (tmp_path / "out" / "report" / "index.html").is_file()
