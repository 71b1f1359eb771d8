"""Windows through the engines: graphs answer as PyTorch does, exact and dense, from one thread or several."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.errors import UsageError
from gracile.learning.graphs import upgrade_bundle
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from gracile.runners import Computing
from gracile.runners.verify import verify
from gracile.stages import open_stage
from gracile.stages.landmark_windows import LandmarkWindowsStage
from tests.networks.test_smicnet import small
from tests.stages.test_scanning import SIZE, every_place, one_by_one

NAMES = {True: "smicnet", False: "smicnet-unpadded"}
STEPS = ["every-1", "every-2", "every-4", "every-8"]
ENGINES = ["openvino", "onnxruntime", "torch"]


def write_windows(padded: bool, folder: Path, *settings: str) -> Path:
    """A bundle of `small`, without graphs."""
    options = "{width: 4, depth: 2, hidden: 12}"
    recipe = read_recipe("cochlea-landmarks-published", [
        "landmarks=[{name: ring}, {name: ball}]", "measure=[]", f"stages.windows.size={SIZE}",
        f"stages.windows.network={{name: {NAMES[padded]}, options: {options}}}",
        "stages.windows.spacing_mm=[0, 0, 0]", "stages.windows.scan={mode: auto, step: 4}", *settings,
    ])  # fmt: skip
    learner = build_learner(recipe.stages[0], recipe)
    learner.network.load_state_dict(small(padded).state_dict())
    return write_bundle(Bundle(recipe=recipe, weights={"windows": learner.bundle_state()}, card={}), folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[bool, Path]:
    """Bundles with graphs, with padding and without; read only."""
    found = {padded: write_windows(padded, tmp_path_factory.mktemp("windows") / NAMES[padded]) for padded in NAMES}
    for folder in found.values():
        assert upgrade_bundle(str(folder)) == {}
    return found


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return np.random.default_rng(0).random((3, 30, 26), dtype=np.float32)


def opened(folder: Path, computing: Computing = Computing(), *settings: str) -> LandmarkWindowsStage:  # noqa: B008
    bundle = read_bundle(folder, list(settings))
    stage = open_stage(bundle, bundle.recipe.stages[0], computing)
    assert isinstance(stage, LandmarkWindowsStage)
    return stage


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("padded", "mode"), [(True, "exact"), (False, "exact"), (False, "dense")])
def test_every_engine_answers_as_the_network_does_window_by_window(folders, planes, engine, padded, mode):
    settings = f"stages.windows.scan.mode={mode}"
    one, two = (opened(folders[padded], Computing(engine, "float32", n), settings) for n in (1, 2))
    assert [run.computed.engine for run in (two.run, *two.others.values())] == [engine] * (1 + len(two.others))
    assert two.run.computed.threads == 2
    places = every_place(planes)[::9]
    expected = one_by_one(small(padded), planes, places)
    assert np.ptp(expected, axis=0).max() > 0.05
    assert np.abs(two.windows.at(planes, places) - expected).max() < 1e-5
    box = (slice(0, 3), slice(2, 30), slice(0, 26))
    for step in {one.spec.scan.step, 1}:
        corners = np.stack(np.meshgrid(*(np.arange(s.start, s.stop, step) for s in box), indexing="ij"), axis=-1)
        found = two.windows.grid(planes, box, step)
        right = one_by_one(small(padded), planes, corners.reshape(-1, 3)[:60])
        assert np.abs(found.reshape(3, -1).T[:60] - right).max() < 1e-5
        np.testing.assert_array_equal(one.windows.grid(planes, box, step), found)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["exact", "dense"])
def test_several_threads_may_search_at_once(folders, planes, engine, mode):
    stage = opened(folders[False], Computing(engine, "float32", 2), f"stages.windows.scan.mode={mode}")
    places = every_place(planes)[::40]
    expected = stage.windows.at(planes, places)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: stage.windows.at(planes, places), range(8)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("padded", [True, False])
def test_every_graph_takes_its_weights_from_the_stage_s_one_file(folders, padded):
    graphs = read_bundle(folders[padded]).graphs
    assert list(graphs) == ["windows", *([] if padded else [f"windows.{step}" for step in STEPS])]
    for graph in graphs.values():
        content = onnx.load(graph, load_external_data=False).graph
        inside = [tensor for tensor in content.initializer if not tensor.external_data]
        assert max((int(np.prod(tensor.dims)) for tensor in inside), default=0) < 10
        outside = {tensor.name for tensor in content.initializer} - {tensor.name for tensor in inside}
        assert {"network.blocks.0.pointwise.weight", "network.blocks.1.norm.running_var"} <= outside


def test_what_is_opened_is_what_the_search_needs(folders):
    assert LandmarkWindowsStage.networks(read_bundle(folders[True]).recipe.stages[0]) == ("",)
    for scan, networks in (
        ({"mode": "exact"}, ("",)), ({"step": 4}, ("every-4", "every-1")), ({"step": 1}, ("every-1",))
    ):  # fmt: skip
        settings = [f"stages.windows.scan.{name}={value}" for name, value in scan.items()]
        bundle = read_bundle(folders[False], settings)
        assert LandmarkWindowsStage.networks(bundle.recipe.stages[0]) == networks
        assert Pipeline.from_bundle(bundle).computed["engine"] == "openvino"


def test_golden_answers_of_all_networks_are_right_in_every_engine(folders):
    rows = [row for row in verify(read_bundle(folders[False])) if row.precision == "float32"]
    assert {row.stage for row in rows} == {"windows", *(f"windows.{step}" for step in STEPS)}
    assert {row.engine for row in rows} == set(ENGINES)
    assert all(row.right for row in rows)


def test_every_thread_calls_for_itself(folders):
    spec = read_bundle(folders[True]).recipe.stages[0]
    asked = LandmarkWindowsStage.computing(spec, Computing("onnxruntime", threads=2))
    assert (asked.engine, asked.threads, asked.callers) == ("onnxruntime", 2, 0)


def test_the_recipe_s_engine_is_taken_where_nobody_asks_for_another(folders, tmp_path):
    setting = "stages.windows.scan.engine=onnxruntime"
    assert opened(folders[False], Computing(), setting).run.computed.engine == "onnxruntime"
    assert opened(folders[False], Computing("openvino"), setting).run.computed.engine == "openvino"
    bare = write_windows(True, tmp_path / "bare")
    assert opened(bare, Computing(), setting).run.computed.engine == "torch"
    with pytest.raises(UsageError, match="--device cpu"):
        opened(folders[False], Computing("openvino", device="cuda"))


def test_a_bundle_without_graphs_finds_the_same(folders, planes, tmp_path):
    bare = write_windows(False, tmp_path / "bare")
    assert "further" not in json.loads((bare / "bundle.json").read_text())["weights"]["windows"]
    places = every_place(planes)[::50]
    old, new = opened(bare), opened(folders[False])
    assert old.run.computed.notes == ("It has no graph.",)
    assert np.abs(old.windows.at(planes, places) - new.windows.at(planes, places)).max() < 1e-5


def test_a_search_follows_the_learner_s_weights_of_the_moment(planes):
    recipe = read_recipe("cochlea-landmarks-published", [
        f"stages.windows.size={SIZE}", "stages.windows.network.options={width: 4, depth: 2, hidden: 12}",
    ])  # fmt: skip
    learner = build_learner(recipe.stages[0], recipe)
    stage = learner.applied()
    assert stage.run.computed.precision == "float32"
    with torch.no_grad():
        learner.network.classes.weight.zero_()
        learner.network.classes.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 999.0]))
    assert stage.windows.at(planes, np.array([[0, 5, 5]]))[0].tolist() == [0, 0, 0, 1]
