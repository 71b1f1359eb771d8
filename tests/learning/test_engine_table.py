"""What a training says of bfloat16 in the card of its bundle."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from gracile.bundle import read_bundle
from gracile.case import Case
from gracile.geometry import Grid
from gracile.learning import engine_table
from gracile.learning.engine_table import add_engine_table, agreement
from gracile.result import Result
from gracile.runners.agreement import agrees


def answered(mask: np.ndarray, open_gate: bool = True) -> Result:
    grid = Grid(mask.shape)
    return Result("one", "found", grid, ["background", "a"], mask=mask, gate_decisions={"a": open_gate})


def test_agreement_counts_pixels_gates_and_points_of_the_score() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:5] = 1
    other = truth.copy()
    other[5, :1] = 1
    case = Case("one", np.zeros((1, 10, 10), np.uint8), Grid((10, 10)), truth=truth)
    row = agreement([case, case], [answered(truth)] * 2, [answered(other), answered(truth, open_gate=False)])
    assert row == {"cases": 2, "pixels": 0.995, "gates": 0.5, "score_difference": pytest.approx(50 / 101, abs=1e-5)}


def test_a_processor_without_bfloat16_writes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_table, "computes_bfloat16", lambda: False)
    add_engine_table(tmp_path / "no bundle is looked at", [])


def test_what_agrees_stands_in_the_card_and_the_weights_stay(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, folder)
    before = read_bundle(folder)
    rows = {"openvino bfloat16": {"cases": 3, "pixels": 0.9999, "score_difference": 0.01}}
    monkeypatch.setattr(engine_table, "computes_bfloat16", lambda: True)
    monkeypatch.setattr(engine_table, "engine_table", lambda *_: rows)
    assert not agrees(before.card, "openvino", "bfloat16")
    add_engine_table(folder, [])
    after = read_bundle(folder)
    assert agrees(after.card, "openvino", "bfloat16")
    assert after.checksums == before.checksums
