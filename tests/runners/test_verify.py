"""Golden answers tell an engine that computes wrong."""

import hashlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from gracile.bundle import read_bundle
from gracile.cli import app
from gracile.errors import BundleError, DataError, GracileError, UsageError
from gracile.runners import choice
from gracile.runners.golden import MOST, Golden, golden_content, noise, read_goldens
from gracile.runners.verify import verify
from tests.runners.graphs import STAGE, write_graph_bundle

ENGINES = ["openvino", "onnxruntime"]


def test_every_engine_gives_the_golden_answers(graph_bundle):
    rows = verify(read_bundle(graph_bundle), ENGINES)
    assert [row.engine for row in rows if row.precision == "float32"] == ENGINES
    assert all(row.right and row.difference < 1e-5 and row.version for row in rows if row.precision == "float32")


def test_a_golden_case_that_fails_is_told_and_ends_with_1(tiny_recipe, tmp_path):
    folder = write_graph_bundle(tiny_recipe, tmp_path / "wrong", wrong_by=0.5)
    rows = verify(read_bundle(folder), ["onnxruntime"])
    assert [row.right for row in rows] == [False]
    result = CliRunner().invoke(app, ["models", "verify", str(folder), "--engine", "onnxruntime"])
    assert result.exit_code == 1
    assert "WRONG" in result.output


def test_the_command_prints_a_row_for_each_engine(graph_bundle):
    for engine in ENGINES:
        result = CliRunner().invoke(app, ["models", "verify", str(graph_bundle), "--engine", engine])
        assert result.exit_code == 0, result.output
        assert f"{STAGE} " in result.output
        assert engine in result.output
    result = CliRunner().invoke(app, ["models", "verify", str(graph_bundle), "--engine", "openvino", "--json"])
    assert json.loads(result.output)[0]["right"] is True


def test_an_engine_that_is_not_known_or_not_there_is_wrong_usage(graph_bundle, monkeypatch):
    result = CliRunner().invoke(app, ["models", "verify", str(graph_bundle), "--engine", "openvvino"])
    assert isinstance(result.exception, UsageError)
    monkeypatch.setattr(choice, "is_installed", lambda engine: False)
    with pytest.raises(UsageError, match="not installed"):
        verify(read_bundle(graph_bundle), ["openvino"])


def test_an_engine_that_is_too_old_is_passed_by(graph_bundle, monkeypatch):
    from gracile.runners import verify as module

    monkeypatch.setattr(module, "ENGINES", ["openvino"])
    monkeypatch.setattr(choice, "version_of", lambda name: "2022.1")
    (row, *_) = verify(read_bundle(graph_bundle))
    assert (row.tried, row.right) == (False, True)
    assert "too old" in row.why


def test_a_bundle_without_golden_answers_says_how_to_make_them(tiny_bundle):
    with pytest.raises(BundleError, match="gracile models upgrade"):
        verify(read_bundle(tiny_bundle))


def test_golden_answers_that_are_none_are_refused(graph_bundle):
    path = graph_bundle / f"{STAGE}.golden.safetensors"
    path.write_bytes((graph_bundle / f"{STAGE}.safetensors").read_bytes())
    with pytest.raises(BundleError, match="checksum"):
        read_bundle(graph_bundle)
    manifest = json.loads((graph_bundle / "bundle.json").read_text())
    manifest["weights"][STAGE]["golden"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (graph_bundle / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="no golden answers"):
        verify(read_bundle(graph_bundle))


@pytest.mark.parametrize("shape", [(1, 3, 500, 300), (2, 1, 9, 8, 7), (1, 1)])
def test_cases_come_back_from_their_small_file_as_they_were(shape):
    images, numbers = noise(shape, 3), np.arange(shape[0])
    answer = images * 2 + 1
    case = Golden.of([images, numbers], answer)
    content = golden_content([case, case])
    assert len(content) < 2 * (2 * 4 * MOST + 1000)
    again = read_goldens(content)
    assert len(again) == 2
    np.testing.assert_array_equal(again[1].inputs[0], images)
    np.testing.assert_array_equal(again[1].inputs[1], numbers)
    assert again[1].difference(answer) == 0.0
    span = float(np.ptp(case.answer)) or 1.0
    assert again[0].difference(answer + np.float32(0.1)) == pytest.approx(0.1 / span, rel=1e-3)


def test_answers_of_another_shape_or_that_are_no_numbers_are_never_right():
    case = Golden.of([noise((1, 4), 0)], np.arange(4.0))
    with pytest.raises(DataError, match="shape"):
        case.difference(np.zeros(5))
    assert case.difference(np.array([0.0, np.nan, 2.0, 3.0])) == np.inf


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_a_file_of_something_else_is_no_golden_file(content):
    with pytest.raises(GracileError):
        read_goldens(content)
