"""A prediction run's report, while results pass by and after an interruption."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from gracile.inference.result_files import write_result
from gracile.io import read_case_file
from gracile.pages import case_page, predictions
from gracile.pages.predictions import ReportWriter
from gracile.recipe import read_recipe
from gracile.result import Measurement, Result

RECIPE = read_recipe("retina-av")


def answered(tmp_path, name, flags=()):
    """A predicted case: its parts as `ReportWriter.add` takes them, its files on disk."""
    picture = tmp_path / f"{name}.png"
    Image.fromarray(np.full((40, 50, 3), 100, np.uint8)).save(picture)
    case = read_case_file(picture, name)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20] = 1
    result = Result(
        name, "found", case.grid, RECIPE.class_names, mask=mask, flags=list(flags),
        measurements=[Measurement("area", 500.0, "px", "artery")],
        marks={"optic_disc": {"row": 5, "column": 5, "diameter": 4}},
    )  # fmt: skip
    files = write_result(result, tmp_path / "out")
    record = {"name": name, "input": str(picture), **result.summary(), "files": files}
    return case, result, json.loads(json.dumps(record))


@pytest.fixture
def writer(tmp_path):
    return ReportWriter(RECIPE, "model", tmp_path / "out")


def overlays(tmp_path):
    return sorted(path.name for path in (tmp_path / "out" / "report" / "overlays").glob("*"))


def test_each_picture_is_written_at_its_own_size_with_its_classes(tmp_path, writer):
    writer.add(*answered(tmp_path, "a#1"))
    path = writer.write()
    assert path == tmp_path / "out" / "report" / "index.html"
    assert overlays(tmp_path) == ["a#1.jpg"]
    picture = np.asarray(Image.open(path.parent / "overlays" / "a#1.jpg")).astype(int)
    assert picture.shape == (40, 50, 3)
    assert picture[14, 25, 0] > 150 > 110 > picture[30, 25, 0]
    assert 'href="overlays/a%231.jpg"' in path.read_text(encoding="utf-8")


def test_a_reused_result_is_drawn_from_its_files(tmp_path, writer):
    case, result, record = answered(tmp_path, "a")
    writer.add(case, result, record)
    again = ReportWriter(RECIPE, "model", tmp_path / "out")
    (tmp_path / "out" / "report" / "overlays" / "a.jpg").unlink()
    again.add(None, None, record)
    fresh, reused = writer.page.cases[0], again.page.cases[0]
    assert reused.base == fresh.base
    assert reused.layers == fresh.layers
    assert overlays(tmp_path) == ["a.jpg"]


def test_what_was_drawn_of_a_record_is_not_drawn_again(tmp_path, writer):
    case, result, record = answered(tmp_path, "a")
    record["finished"] = "2026-01-01T00:00:00.000000+00:00"
    writer.add(case, result, record)
    (tmp_path / "a.png").unlink()  # so that it could not be drawn
    again = ReportWriter(RECIPE, "model", tmp_path / "out")
    again.write_all([record])
    assert vars(again.page.cases[0]) == vars(writer.page.cases[0])
    newer = ReportWriter(RECIPE, "model", tmp_path / "out")
    newer.write_all([{**record, "finished": "2099-01-01T00:00:00.000000+00:00"}])
    assert newer.page.cases[0].base == b""


def test_the_page_holds_the_records_of_the_folder_in_their_order(tmp_path, writer):
    records = {}
    for name in "abc":
        case, result, records[name] = answered(tmp_path, name)
        records[name]["finished"] = "2026-01-01T00:00:00.000000+00:00"
        if name != "b":
            writer.add(case, result, records[name])
    page = writer.write_all([records["b"], records["c"]])
    assert re.findall(r'data-case="(.)"', page.read_text(encoding="utf-8")) == ["b", "c"]
    assert overlays(tmp_path) == ["b.jpg", "c.jpg"]


def test_a_case_that_cannot_be_drawn_is_in_the_page_without_its_picture(tmp_path, writer, monkeypatch):
    def fail(*_):
        raise MemoryError("too large")

    monkeypatch.setattr(predictions, "case_overlay", fail)
    assert writer.try_add(*answered(tmp_path, "a")).startswith("It needs more memory")
    assert "500" in writer.write().read_text(encoding="utf-8")


def test_a_reused_result_whose_picture_is_gone_keeps_its_numbers(tmp_path, writer):
    _, _, record = answered(tmp_path, "a")
    (tmp_path / "a.png").unlink()
    writer.add(None, None, record)
    assert writer.page.cases[0].base == b""
    assert "500" in writer.write().read_text(encoding="utf-8")


def test_the_page_keeps_the_pictures_that_need_a_look(tmp_path, writer, monkeypatch):
    monkeypatch.setattr(case_page, "PICTURES", 2)
    for name, flags in {"a": [], "b": ["odd"], "c": [], "d": ["odd", "odder"]}.items():
        writer.add(*answered(tmp_path, name, flags))
    assert [case.id for case in writer.page.cases if case.base] == ["b", "d"]
    assert all(bool(case.layers) == bool(case.base) for case in writer.page.cases)
    assert overlays(tmp_path) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    text = writer.write().read_text(encoding="utf-8")
    assert re.findall(r'data-case="(.)"', text) == ["d", "b", "a", "c"]
    assert "Pictures are shown of 2 cases" in text


def test_a_failed_input_is_told_and_has_no_overlay(tmp_path, writer):
    writer.add(None, None, {"name": "bad", "status": "failed", "reason": "bad.png is empty.", "files": {}})
    assert "bad.png is empty." in writer.write().read_text(encoding="utf-8")
    assert overlays(tmp_path) == []


def test_the_heading_counts_inputs_by_their_kind(writer):
    for name, kind in {"a": "picture", "b": "volume", "c": "volume", "d": "camera", "e": "video"}.items():
        writer.add(None, None, {"name": name, "kind": kind, "status": "failed", "reason": "", "files": {}})
    writer.add(None, None, {"name": "old", "status": "failed", "reason": "", "files": {}})
    assert "2 pictures and 2 volumes and 2 videos, model" in writer.write().read_text(encoding="utf-8")
