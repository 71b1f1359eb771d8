"""A prediction run: a bad file stops no other, an interrupted run goes on, and a full disk leaves nothing half."""

import errno
import io
import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gracile.api import load
from gracile.errors import DataError, RecipeError, UsageError
from gracile.inference import Options, Shard, find_inputs, merge_shards, predict
from gracile.inference.predict import Summary
from gracile.io import read_case_file
from gracile.pipeline import Pipeline
from gracile.result import Measurement
from tests.conftest import draw_fundus

MODEL: dict[str, Any] = {"name": "tiny", "weights": {"vessels": "12ab"}}


@pytest.fixture(scope="module")
def pipeline(tiny_bundle):
    return load(tiny_bundle, settings=["measure=[]"], device="cpu").pipeline


@pytest.fixture
def pictures(fundus_folder, tmp_path):
    """Four drawn fundus photographs that a test may spoil."""
    return shutil.copytree(fundus_folder / "images", tmp_path / "pictures")


class Run:
    """Predicts a folder into another and notes what was observed."""

    def __init__(self, pipeline: Pipeline, pictures: Path, out: Path) -> None:
        self.pipeline, self.pictures, self.out = pipeline, pictures, out

    def __call__(self, *, model: dict[str, Any] = MODEL, stop_after: int = 10**9, **options: Any) -> Summary:
        self.seen: list[str] = []

        def observe(case, result, record):
            self.seen.append(record["name"])
            if len(self.seen) == stop_after:
                raise KeyboardInterrupt

        return predict(self.pipeline, model, find_inputs([str(self.pictures)]), self.out, Options(**options), observe)

    @property
    def content(self):
        return json.loads((self.out / "predictions.json").read_text())


@pytest.fixture
def run(pipeline, pictures, tmp_path):
    return Run(pipeline, pictures, tmp_path / "out")


def without_seconds(records):
    return [{k: v for k, v in record.items() if k not in ("seconds", "finished")} for record in records]


def masks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_each_input_gets_a_mask_and_a_record(run, pictures):
    summary = run(probabilities=True)
    assert summary.answered == run.seen == ["00", "01", "02", "03"]
    assert summary.failed == {}
    for record, path in zip(run.content["inputs"], sorted(pictures.iterdir()), strict=True):
        assert record["status"] in {"found", "absent"}
        assert record["input"] == str(path)
        assert record["files"] == {"mask": f"{path.stem}.png", "probabilities": f"probabilities/{path.stem}.npz"}
        assert {"gates", "measurements", "flags", "seconds", "reason", "sha256"} <= record.keys()
        assert {"read", "prepare", "vessels", "restore", "write"} <= record["seconds"].keys()
        mask = np.array(Image.open(run.out / record["files"]["mask"]))
        assert (mask.dtype, mask.shape) == (np.uint8, (120, 120))
        with np.load(run.out / record["files"]["probabilities"]) as maps:
            found = maps["probabilities"].argmax(axis=0)
            assert (found == mask)[mask > 0].mean() > 0.99


def test_a_truncated_file_fails_with_the_reason_and_stops_no_other(run, pictures):
    broken = pictures / "01.png"
    broken.write_bytes(broken.read_bytes()[:400])
    (pictures / "02.png").write_bytes(b"")
    summary = run()
    assert summary.answered == ["00", "03"]
    assert set(summary.failed) == {"01", "02"}
    records = {record["name"]: record for record in run.content["inputs"]}
    assert records["01"]["status"] == "failed"
    assert "01.png" in records["01"]["reason"]
    assert "empty" in records["02"]["reason"]
    assert masks(run.out).keys() == {"00.png", "03.png"}


def test_a_failed_input_is_tried_again_once_it_is_mended(run, pictures):
    whole = (pictures / "01.png").read_bytes()
    (pictures / "01.png").write_bytes(whole[:400])
    run()
    (pictures / "01.png").write_bytes(whole)
    summary = run()
    assert (summary.answered, summary.reused) == (["01"], ["00", "02", "03"])
    assert all(record["status"] != "failed" for record in run.content["inputs"])


def test_no_old_mask_passes_for_the_answer_of_an_input_that_now_fails(run, pictures):
    run(probabilities=True)
    (pictures / "01.png").write_bytes((pictures / "01.png").read_bytes()[:400])
    assert set(run(probabilities=True).failed) == {"01"}
    assert masks(run.out).keys() == {"00.png", "02.png", "03.png"}
    assert not (run.out / "probabilities" / "01.npz").exists()


def test_measurement_settings_are_checked_before_anything_is_predicted(run):
    with pytest.raises(UsageError, match="um_per_pixl"):
        run(measure={"um_per_pixl": 4.5})
    with pytest.raises(UsageError, match="one picture"):
        run(measure={"disc": (60, 60, 20)})
    assert not run.seen


def test_an_unforeseen_failure_leaves_its_traceback_in_the_log(run, pipeline, monkeypatch, caplog):
    monkeypatch.setattr(type(pipeline), "__call__", lambda *_, **__: 1 / 0)
    with caplog.at_level("DEBUG", logger="gracile"):
        summary = run()
    assert set(summary.failed) == {"00", "01", "02", "03"}
    assert "ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text


def test_a_name_that_is_no_unicode_is_predicted(run, pictures):
    (pictures / "00.png").rename(pictures / "\udcff.png")
    assert "\udcff" in run().answered
    assert run().reused == sorted(run.seen)


def test_other_pictures_and_impossible_sizes_are_refused_one_by_one(run, pictures):
    random = np.random.default_rng(0)
    for name, shape in (("noise", (90, 90, 3)), ("dot", (1, 1, 3)), ("strip", (1, 200, 3)), ("gray", (80, 80))):
        Image.fromarray(random.integers(0, 255, shape).astype(np.uint8)).save(pictures / f"{name}.png")
    Image.fromarray(draw_fundus(0)[0]).convert("L").save(pictures / "gray_fundus.png")
    summary = run()
    assert set(summary.failed) == {"noise", "dot", "strip", "gray", "gray_fundus"}
    assert all("no fundus photograph" in reason for reason in summary.failed.values())
    assert len(summary.answered) == 4


def write_16_bit_png(path: Path, pixels: np.ndarray) -> None:
    """A 16-bit RGB PNG, which Pillow cannot write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_the_coding_of_a_photograph_does_not_change_its_mask(pipeline, tmp_path):
    image, _, _ = draw_fundus(0)
    Image.fromarray(image).save(tmp_path / "plain.png")
    Image.fromarray(image).convert("RGBA").save(tmp_path / "opaque.png")
    Image.fromarray(image).save(tmp_path / "plain.tif")
    write_16_bit_png(tmp_path / "deep.png", image.astype(np.uint16) * 257)
    answers = {path.name: pipeline(read_case_file(path, path.stem)) for path in sorted(tmp_path.iterdir())}
    for answer in answers.values():
        np.testing.assert_array_equal(answer.mask, answers["plain.png"].mask)
    assert any("16-bit" in note for note in answers["deep.png"].notes)
    assert len({tuple(answer.flags) for answer in answers.values()}) == 1


def test_an_interrupted_run_goes_on_and_ends_as_an_uninterrupted_one(run, pipeline, pictures, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=2)
    assert not (run.out / "predictions.json").exists()
    summary = run()
    assert (summary.reused, summary.answered) == (["00", "01"], ["02", "03"])
    assert run.seen == ["00", "01", "02", "03"]
    whole = Run(pipeline, pictures, tmp_path / "whole")
    whole()
    assert masks(run.out) == masks(whole.out)
    assert without_seconds(run.content["inputs"]) == without_seconds(whole.content["inputs"])
    assert {path.name for path in run.out.iterdir()} == {path.name for path in whole.out.iterdir()}


def test_a_changed_picture_or_lost_mask_is_predicted_anew(run, pictures):
    run()
    shutil.copy(pictures / "03.png", pictures / "00.png")
    (run.out / "01.png").unlink()
    summary = run()
    assert (summary.answered, summary.reused) == (["00", "01"], ["02", "03"])
    assert masks(run.out)["00.png"] == masks(run.out)["03.png"]


def test_another_model_or_other_settings_reuse_nothing(run):
    other = {"name": "tiny", "weights": {"vessels": "34cd"}}
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=2)
    with pytest.raises(UsageError, match="--overwrite"):
        run(model=other)
    assert run(model=other, overwrite=True).reused == []
    with pytest.raises(UsageError, match="--overwrite"):
        run()
    with pytest.raises(UsageError, match="--overwrite"):
        run(model=other, probabilities=True)
    with pytest.raises(UsageError, match="--overwrite"):
        run(model=other, shard=Shard(1, 2), probabilities=True)
    assert run(overwrite=True).reused == []
    assert run().reused == ["00", "01", "02", "03"]


def test_a_recipe_with_another_decision_is_another_model(run, tiny_bundle):
    run()
    settings = ["measure=[]", "stages.vessels.flips=true"]
    run.pipeline = load(tiny_bundle, settings=settings, device="cpu").pipeline
    with pytest.raises(UsageError, match="other settings"):
        run()


def test_merged_shards_equal_one_run(run, pipeline, pictures, tmp_path):
    whole = Run(pipeline, pictures, tmp_path / "whole")
    whole()
    for number in (2, 1, 3):
        summary = run(shard=Shard(number, 3))
        assert summary.predictions.name == f"predictions.{number}of3.json"
    merge_shards(run.out)
    assert masks(run.out) == masks(whole.out)
    assert without_seconds(run.content["inputs"]) == without_seconds(whole.content["inputs"])


def test_given_fields_of_view_bound_the_masks(run, fundus_folder, tmp_path):
    regions = tmp_path / "fov"
    regions.mkdir()
    for path in (fundus_folder / "fov").iterdir():
        half = np.array(Image.open(path))
        half[:, :60] = 0
        Image.fromarray(half).save(regions / path.name)
    run.pipeline = load_flagging(run.pipeline)
    run(regions=regions)
    for path in run.out.glob("*.png"):
        mask = np.array(Image.open(path))
        assert not mask[:, :60].any()
        assert mask[:, 60:].any()


def load_flagging(pipeline):
    """The pipeline with half a field of view allowed."""
    recipe = pipeline.recipe.model_copy(deep=True)
    recipe.input.wrong_kind = "flag"
    return Pipeline(recipe, pipeline.stages)


def test_a_changed_field_of_view_is_not_passed_over(run, fundus_folder, tmp_path):
    regions = shutil.copytree(fundus_folder / "fov", tmp_path / "fov")
    run.pipeline = load_flagging(run.pipeline)
    run(regions=regions)
    half = np.array(Image.open(regions / "01_mask.png"))
    half[:, :60] = 0
    Image.fromarray(half).save(regions / "01_mask.png")
    summary = run(regions=regions)
    assert (summary.answered, summary.reused) == (["01"], ["00", "02", "03"])


def test_a_field_of_view_that_is_missing_or_of_another_size_is_said(run, fundus_folder, tmp_path):
    regions = shutil.copytree(fundus_folder / "fov", tmp_path / "fov")
    Image.fromarray(np.full((50, 50), 255, np.uint8)).save(regions / "01_mask.png")
    summary = run(regions=regions)
    assert set(summary.failed) == {"01"}
    assert "01_mask.png" in summary.failed["01"]
    (regions / "02_mask.png").unlink()
    with pytest.raises(DataError, match=r"02\.png"):
        run(regions=regions, overwrite=True)


class Full(io.RawIOBase):
    """A file on a full disk: takes a few bytes, then no more."""

    def __init__(self, path: Path) -> None:
        self.file = io.FileIO(path, "w")

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.file.write(bytes(content[:3]))
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", [".png", ".npz", ".json"])
def test_a_full_disk_is_said_leaves_no_half_file_and_keeps_what_was_done(run, monkeypatch, kind):
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=2, probabilities=True)
    done = masks(run.out)
    whole_open = Path.open

    def open_full(path, mode="r", *args, **kwargs):
        if "w" in mode and path.suffix == kind:
            return Full(path)
        return whole_open(path, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        with pytest.raises(DataError, match="disk is full"):
            run(probabilities=True)
    written = [path for path in run.out.rglob("*") if path.is_file() and path.parent.name != ".gracile"]
    assert not [path for path in written if path.name.startswith(".")]
    assert not [path for path in written if path.stat().st_size == 3]
    assert done.items() <= masks(run.out).items()
    summary = run(probabilities=True)
    assert summary.reused[:2] == ["00", "01"]
    assert sorted(summary.reused + summary.answered) == ["00", "01", "02", "03"]
    for path in run.out.glob("*.png"):
        assert np.array(Image.open(path)).shape == (120, 120)


def test_predicting_into_the_folder_of_the_photographs_never_overwrites_them(run, pictures):
    before = masks(pictures)
    run.out = pictures
    with pytest.raises(UsageError, match="among the inputs"):
        run()
    with pytest.raises(UsageError, match="among the inputs"):
        run(overwrite=True)
    assert masks(pictures) == before


def test_a_second_run_adds_to_the_folder(run, pictures, tmp_path):
    """Also with an input of a name that is taken, and its own optic disc."""
    run()
    other = tmp_path / "left"
    other.mkdir()
    for name in ("00.png", "new.png"):
        shutil.copy(pictures / "01.png", other / name)
    run.pictures = other / "00.png"
    assert run(measure={"disc": (60, 60, 20)}).answered == ["left-00"]
    run.pictures = other / "new.png"
    assert run(measure={"disc": (50, 50, 20)}).answered == ["new"]
    run.pictures = pictures / "02.png"
    assert run().reused == ["02"]
    assert [record["name"] for record in run.content["inputs"]] == ["00", "01", "02", "03", "left-00", "new"]
    assert masks(run.out).keys() == {"00.png", "01.png", "02.png", "03.png", "left-00.png", "new.png"}
    assert [record["given"] for record in run.content["inputs"]][3:5] == [{}, {"disc": [60, 60, 20]}]


def test_what_is_given_for_one_input_makes_only_that_one_anew(run, pictures):
    run.pictures = pictures / "00.png"
    run(measure={"disc": (60, 60, 20)})
    assert run(measure={"disc": (60, 60, 20)}).reused == ["00"]
    assert run(measure={"disc": (50, 60, 20)}).answered == ["00"]


def test_pictures_and_a_clip_go_into_one_folder_call_by_call(run, pictures, tmp_path):
    clip = tmp_path / "clip"
    clip.mkdir()
    shutil.copy(pictures / "00.png", clip / "0.png")
    run.pictures = pictures / "00.png"
    run()
    run.pictures = f"frames:{clip}"
    run()
    (pictures / "01.png").write_bytes(b"")
    run.pictures = pictures / "01.png"
    run()
    records = run.content["inputs"]
    assert [(record["kind"], record["status"] == "failed") for record in records] == [
        ("picture", False), ("video", False), ("picture", True),
    ]  # fmt: skip
    assert len({tuple(sorted(record)) for record in records}) == 1


def failing(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.fixture
def measuring(tiny_bundle):
    """The pipeline with a measure."""
    return load(tiny_bundle, settings=["measure=[{name: areas}]"], device="cpu").pipeline


def test_a_mask_is_on_disk_before_it_is_measured_and_outlives_a_measure_that_fails(run, measuring, monkeypatch):
    run.pipeline = measuring
    there: list[bool] = []

    def fail(_self: Any, case: Any, result: Any, recipe: Any) -> None:
        there.append((run.out / f"{case.id}.png").is_file())
        raise ZeroDivisionError("no pixels")

    monkeypatch.setattr("gracile.measure.areas.Areas.add", fail)
    summary = run()
    assert there == [True] * 4
    assert summary.answered == ["00", "01", "02", "03"]
    for record in run.content["inputs"]:
        assert record["status"] == "found"
        assert "the measure areas failed" in record["flags"]
        assert any(note.startswith("the measure areas failed: It met a fault") for note in record["notes"])
        assert (run.out / record["files"]["mask"]).is_file()
    assert any(note.startswith("the measure areas failed: It met a fault") for note in run.content["notes"])


def test_a_measure_that_is_no_number_fails_no_later_run(run, measuring, monkeypatch):
    run.pipeline = measuring
    nothing = Measurement("area", float("nan"), "px2", "artery")
    monkeypatch.setattr(
        "gracile.measure.areas.Areas.add", lambda _, case, result, recipe: result.measurements.append(nothing)
    )
    run()
    assert run().reused == ["00", "01", "02", "03"]
    (measurement,) = run.content["inputs"][0]["measurements"]
    assert (measurement["value"], measurement["note"]) == (None, "not a number")
    assert "artery area is not a number" in run.content["inputs"][0]["flags"]
    assert "00,artery,area,,px2,not a number" in (run.out / "measurements.csv").read_text()


def test_wrong_options_of_a_measure_end_the_run(run, measuring, monkeypatch):
    run.pipeline = measuring
    monkeypatch.setattr("gracile.measure.areas.Areas.add", failing(RecipeError("There is no structure 'x'.")))
    with pytest.raises(RecipeError, match="'x'"):
        run()


def test_a_map_that_cannot_be_written_costs_that_map_alone(run, monkeypatch):
    monkeypatch.setattr("numpy.savez_compressed", failing(ValueError("too odd")))
    run(probabilities=True)
    for record in run.content["inputs"]:
        assert record["files"].keys() == {"mask"}
        assert "writing probabilities failed" in record["flags"]
        assert any(note.startswith("writing probabilities failed: It met a fault") for note in record["notes"])
        assert "too odd" not in str(record)


def test_a_picture_that_the_report_cannot_draw_is_noted_in_the_record(run):
    def observe(case: Any, result: Any, record: dict[str, Any]) -> str:
        return "MemoryError: too large" if record["name"] == "01" else ""

    predict(run.pipeline, MODEL, find_inputs([str(run.pictures)]), run.out, Options(), observe)
    said = {record["name"]: record for record in run.content["inputs"]}
    flagged = ["its picture in the report failed" in record["flags"] for record in said.values()]
    assert flagged == [False, True, False, False]
    assert "its picture in the report failed: MemoryError: too large" in said["01"]["notes"]


def test_both_tables_lie_beside_the_predictions(run, pictures):
    (pictures / "=1+1.png").write_bytes(b"")
    run()
    cases = (run.out / "cases.csv").read_text().splitlines()
    assert cases[0].startswith("case,status,reason,flags")
    assert sorted(line.split(",")[0] for line in cases[1:]) == ["'=1+1", "00", "01", "02", "03"]
    assert (run.out / "measurements.csv").read_text() == "case,structure,measure,value,unit,note\n"
