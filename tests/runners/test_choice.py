"""The engine that computes is the one that was asked for, or the first that can; why it is another one is told."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from gracile.bundle import read_bundle
from gracile.errors import BundleError, UsageError
from gracile.runners import choice
from gracile.runners.base import Computed, Computing
from gracile.runners.choice import ENGINES, open_runner
from tests.runners.graphs import CHANNELS, STAGE, right_answer, some_weights, write_graph_bundle

IMAGES = np.random.default_rng(5).normal(size=(1, CHANNELS, 19, 21)).astype(np.float32)
AGREES = {"engines": {"openvino bfloat16": {"pixels": 0.999, "score_difference": 0.0}}}


@pytest.fixture
def missing(monkeypatch):
    """Takes engines away."""

    def take(*names):
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name in names else found(name, *more)
        )

    return take


@pytest.fixture
def torch_stub(monkeypatch):
    """Something in PyTorch's place, which tells what it was asked for."""
    opened = []

    class Stub:
        def __init__(self, computing):
            self.computed = Computed("torch", "1", computing.precision, computing.threads, computing.device)

        def __call__(self, *inputs):
            return inputs[0]

    def open_stub(bundle, stage, computing):
        opened.append(computing)
        return Stub(computing)

    loaded = choice.load_opener
    monkeypatch.setattr(choice, "load_opener", lambda engine: open_stub if engine == "torch" else loaded(engine))
    return opened


def test_auto_takes_openvino(graph_bundle):
    runner = open_runner(read_bundle(graph_bundle), STAGE)
    assert (runner.computed.engine, runner.computed.notes) == ("openvino", ())
    assert "notes" not in runner.computed.as_dict()
    assert runner.computed.threads >= 1
    np.testing.assert_allclose(runner(IMAGES), right_answer(IMAGES, some_weights()), rtol=1e-5, atol=1e-5)


def test_auto_takes_what_is_installed(graph_bundle, missing):
    missing("openvino")
    assert open_runner(read_bundle(graph_bundle), STAGE).computed.engine == "onnxruntime"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_that_was_asked_for_is_taken_or_its_absence_told(engine, graph_bundle, missing):
    bundle = read_bundle(graph_bundle)
    asked = Computing(engine)
    assert open_runner(bundle, STAGE, asked).computed.engine == engine
    missing(engine)
    with pytest.raises(UsageError, match=f"not installed.*pip install {engine}"):
        open_runner(bundle, STAGE, asked)


@pytest.mark.parametrize(
    ("engine", "version", "fits"),
    [("openvino", "2023.3.0", False), ("openvino", "2024.0.0", True), ("openvino", "2030.1", True),
     ("onnxruntime", "1.9.0", False), ("onnxruntime", "1.17.3", False), ("onnxruntime", "1.18.0", True)],
)  # fmt: skip
def test_an_engine_that_is_too_old_is_told_with_both_versions(engine, version, fits, graph_bundle, monkeypatch):
    monkeypatch.setattr(choice, "version_of", lambda name: version)
    bundle = read_bundle(graph_bundle)
    if fits:
        assert open_runner(bundle, STAGE, Computing(engine)).computed.engine == engine
        return
    with pytest.raises(
        UsageError, match=f"{version} is too old; {choice.LIBRARIES[engine].oldest}.*--upgrade {engine}"
    ):
        open_runner(bundle, STAGE, Computing(engine))


def test_auto_passes_by_an_engine_that_is_too_old_and_says_so(graph_bundle, monkeypatch):
    monkeypatch.setattr(choice, "version_of", lambda name: "2023.1" if name == "openvino" else "1.30")
    computed = open_runner(read_bundle(graph_bundle), STAGE).computed
    assert computed.engine == "onnxruntime"
    assert "2023.1 is too old" in computed.as_dict()["notes"][0]


def test_a_graph_that_one_engine_does_not_know_is_computed_by_the_next(graph_bundle, monkeypatch, torch_stub):
    def refuse(bundle, stage, computing):
        raise BundleError(f"{bundle.graphs[stage]} cannot be computed by OpenVINO: an unknown operator.")

    loaded = choice.load_opener
    monkeypatch.setattr(choice, "load_opener", lambda engine: refuse if engine == "openvino" else loaded(engine))
    computed = open_runner(read_bundle(graph_bundle), STAGE).computed
    assert computed.engine == "onnxruntime"
    assert "unknown operator" in computed.notes[0]


def test_an_unknown_operator_leaves_pytorch(tiny_recipe, tmp_path, torch_stub):
    bundle = read_bundle(write_graph_bundle(tiny_recipe, tmp_path / "b", operator="Divination"))
    computed = open_runner(bundle, STAGE).computed
    assert computed.engine == "torch"
    assert len(computed.notes) == 2
    assert all("Divination" in note for note in computed.notes)


def test_an_unknown_operator_without_pytorch_is_an_error_of_the_bundle(tiny_recipe, tmp_path, missing):
    missing("torch")
    bundle = read_bundle(write_graph_bundle(tiny_recipe, tmp_path / "b", operator="Divination"))
    with pytest.raises(BundleError, match=r"vessels\.onnx cannot be computed by OpenVINO"):
        open_runner(bundle, STAGE)


def test_a_stage_without_a_graph_is_computed_by_pytorch_which_is_said(tiny_bundle, torch_stub):
    computed = open_runner(read_bundle(tiny_bundle), STAGE, Computing(threads=2)).computed
    assert (computed.engine, computed.threads) == ("torch", 2)
    assert any("no graph" in note for note in computed.notes)


def test_a_stage_without_a_graph_needs_pytorch_and_says_how_to_get_it(tiny_bundle, missing):
    missing("torch")
    with pytest.raises(BundleError, match=r'no graph.*pip install "gracile\[train\]"'):
        open_runner(read_bundle(tiny_bundle), STAGE)


def test_an_engine_of_graphs_asked_for_where_there_is_none_says_how_to_make_it(tiny_bundle):
    with pytest.raises(BundleError, match=r"no graph.*gracile models upgrade"):
        open_runner(read_bundle(tiny_bundle), STAGE, Computing("openvino"))


@pytest.mark.parametrize(
    "asked",
    [Computing("openvvino"), Computing(precision="bfloat61"), Computing(device="tpu"), Computing(threads=-1)],
    ids=["engine", "precision", "device", "threads"],
)
def test_words_that_mean_nothing_are_wrong_usage(asked, graph_bundle):
    with pytest.raises(UsageError):
        open_runner(read_bundle(graph_bundle), STAGE, asked)


def test_a_gpu_is_for_pytorch(graph_bundle, torch_stub):
    bundle = read_bundle(graph_bundle)
    with pytest.raises(UsageError, match="runs on the processor"):
        open_runner(bundle, STAGE, Computing("openvino", device="cuda"))
    assert open_runner(bundle, STAGE, Computing(device="cuda")).computed.device == "cuda"


@pytest.mark.parametrize(
    ("fast", "card", "asked", "expected"),
    [
        (True, AGREES, "auto", "bfloat16"),
        (True, {}, "auto", "float32"),
        (False, AGREES, "auto", "float32"),
        (True, AGREES, "float32", "float32"),
        (False, {}, "bfloat16", "bfloat16"),
    ],
)
def test_bfloat16_needs_a_processor_and_a_table_or_to_be_asked_for(fast, card, asked, expected, monkeypatch):
    monkeypatch.setattr(choice, "computes_bfloat16", lambda: fast)
    bundle = SimpleNamespace(card=card)
    assert choice.resolved(bundle, "openvino", Computing(precision=asked)).precision == expected


def test_onnx_runtime_is_never_asked_for_bfloat16(graph_bundle, monkeypatch):
    monkeypatch.setattr(choice, "computes_bfloat16", lambda: True)
    table = {"engines": {"onnxruntime bfloat16": {"pixels": 1.0}}}
    assert choice.resolved(SimpleNamespace(card=table), "onnxruntime", Computing()).precision == "float32"
    with pytest.raises(UsageError, match="ONNX Runtime does not compute in bfloat16"):
        open_runner(read_bundle(graph_bundle), STAGE, Computing("onnxruntime", "bfloat16"))


def test_bfloat16_asked_for_passes_by_what_cannot(graph_bundle, missing, torch_stub):
    missing("openvino")
    computed = open_runner(read_bundle(graph_bundle), STAGE, Computing(precision="bfloat16")).computed
    assert (computed.engine, computed.precision) == ("torch", "bfloat16")


@pytest.mark.parametrize(("threads", "callers", "expected"), [(4, 1, 1), (4, 0, 4), (4, 9, 4), (1, 0, 1)])
def test_callers_are_at_most_as_many_as_threads(threads, callers, expected):
    asked = Computing(precision="float32", threads=threads, callers=callers)
    assert choice.resolved(SimpleNamespace(card={}), "openvino", asked).callers == expected


def test_a_network_is_made_ready_once_in_a_process(graph_bundle):
    first = open_runner(read_bundle(graph_bundle), STAGE, Computing(threads=1))
    assert open_runner(read_bundle(graph_bundle), STAGE, Computing("openvino", threads=1)) is first
    assert open_runner(read_bundle(graph_bundle), STAGE, Computing(threads=2)) is not first


def test_every_engine_of_the_table_can_be_loaded():
    assert set(ENGINES) == set(choice.LIBRARIES)
    assert all(callable(choice.load_opener(engine)) for engine in ENGINES)
