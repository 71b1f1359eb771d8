"""Records: the same keys however an input went, and nothing in them that JSON has no word for."""

import json
from pathlib import Path

import numpy as np
import pytest

from gracile.geometry import Grid
from gracile.inference import Input
from gracile.inference.records import record_of
from gracile.result import Landmark, Measurement, Result

ENTRY = Input(Path("x/a.png"), "a", "picture", "/data/x/a.png")


def test_a_failed_input_has_every_key_that_an_answered_one_has():
    result = Result("a", "found", Grid((4, 4)), ["background", "nerve"])
    answered = record_of(ENTRY, "1", {}, {**result.summary(), "files": {"mask": "a.png"}})
    video = record_of(ENTRY, "1", {}, {"status": "found", "clip": {"frame_rate": 25.0, "gates": []}})
    failed = record_of(ENTRY, "", {}, {"status": "failed", "reason": "a.png is empty."})
    assert answered.keys() == failed.keys() == video.keys()
    assert (failed["measurements"], failed["flags"], failed["files"], failed["gates"]) == ([], [], {}, {})
    assert (failed["name"], failed["path"], failed["input"]) == ("a", "/data/x/a.png", "x/a.png")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_what_is_no_number_becomes_none_with_a_flag(value):
    result = Result(
        "a", "found", Grid((4, 4, 4)), ["background", "cord"], gates={"cord": value}, marks={"center": {"row": value}},
        measurements=[Measurement("volume", value, "mm3", "cord", "rough"), Measurement("avr", 0.5, "1")],
        landmarks=[Landmark("tip", np.array([1.0, value, 2.0]), 0.5)],
    )  # fmt: skip
    record = record_of(ENTRY, "1", {}, {**result.summary(), "gates": result.gates})
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["measurements"][0]["value"] is None
    assert record["measurements"][0]["note"] == "rough; not a number"
    assert record["measurements"][1] == {"name": "avr", "value": 0.5, "unit": "1", "structure": "", "note": ""}
    assert record["gates"] == {"cord": None}
    assert record["landmarks"][0]["point_mm"] == [1.0, None, 2.0]
    assert record["flags"] == [
        "cord volume is not a number", "gates cord is not a number", "landmarks point_mm is not a number",
        "marks center row is not a number",
    ]  # fmt: skip


def test_numbers_of_numpy_are_numbers():
    told = {
        "status": "found",
        "marks": {"n": np.int64(3), "flag": np.bool_(True), "at": np.array([1, 2])},
        "measurements": [vars(Measurement("area", np.float32(2.5), "px2"))],  # type: ignore[arg-type]
    }
    record = record_of(ENTRY, "1", {}, told)
    assert record["marks"] == {"n": 3, "flag": True, "at": [1, 2]}
    assert json.loads(json.dumps(record)) == record
