"""Graphs of stages answer as PyTorch does, for any size, and their weights lie in the bundle's file once."""

import json
import re

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.cli import app
from gracile.errors import BundleError
from gracile.io.onnx_graph import external_tensors
from gracile.learning import graphs
from gracile.learning.export import Exported, export_graph
from gracile.learning.graphs import upgrade_bundle, write_graphs
from gracile.learning.learners import build_learner
from gracile.recipe import Recipe, read_recipe
from gracile.runners import Computing, open_runner
from gracile.runners.verify import verify
from tests.conftest import TINY

ENGINES = ("openvino", "onnxruntime")
VOLUMES = [(1, 1, 16, 16, 16), (1, 1, 21, 17, 9)]
KINDS = {
    "segment": ("retina-av", TINY, 0, [(1, 3, 64, 96), (1, 3, 49, 101)]),
    "gate": ("surgical-tool", ["stages.0.size=[48,64]"], 0, [(1, 3, 48, 64)]),
    "segment-light": ("surgical-tool", [], 1, [(1, 3, 64, 64), (1, 3, 71, 45)]),
    "fuse": (
        "retina-av-fusion",
        ["stages.0.network.options.width=4", "stages.0.discriminator.options.width=4", "stages.0.size=[64, 64]"],
        0,
        [(1, 3, 64, 64)],
    ),
    "centerline": ("spinal-cord", ["stages.0.network.options.width=8"], 0, VOLUMES),
    "segment-volume": ("spinal-cord", ["stages.1.network.options.width=8"], 1, [*VOLUMES, (3, 1, 13, 20, 6)]),
    "slices": (
        "spinal-cord", ["stages.1.network={name: light-unet, options: {}}", "stages.1.slices=3"], 1,
        [(1, 1, 40, 33, 5), (2, 1, 64, 64, 4)],
    ),
    "landmark-heat": ("skull-landmarks", ["stages.0.network.options.width=8"], 0, VOLUMES),
    "landmark-refine": (
        "skull-landmarks", ["stages.1.network.options.width=8"], 1, [(1, 1, 24, 24, 24), (5, 1, 24, 24, 24)]
    ),
    "landmark-refine-any": (
        "skull-landmarks", ["stages.1.network={name: unet-3d, options: {width: 4}}"], 1, [(3, 1, 24, 24, 24)]
    ),
}  # fmt: skip


USUAL = {"segment-light", "landmark-refine"}
"""Tried with every change; the others by `make test-export`, as one takes many seconds."""


TEACHING = re.compile(r"^discriminator\.|nowhere$|side_heads\.|^network\.branches\.\w+\.head\.")
"""Weights that only teach others, or that the applied stage takes beside the graph."""


def stage_of(recipe: Recipe, number: int):
    """With statistics that are not those of a new network."""
    torch.manual_seed(number)
    stage = build_learner(recipe.stages[number], recipe)
    for module in stage.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return stage.eval()


def bundle_of(stage, recipe, folder):
    return write_bundle(Bundle(recipe=recipe, weights={stage.name: stage.bundle_state()}, card={}), folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in USUAL else [pytest.mark.export]) for kind in KINDS]
)
def test_a_stage_s_graph_answers_as_pytorch_does_for_every_size(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name, settings, number, sizes = KINDS[kind]
    recipe = read_recipe(name, settings)
    stage = stage_of(recipe, number)
    folder = bundle_of(stage, recipe, tmp_path / "bundle")
    weights = (folder / f"{stage.name}.safetensors").read_bytes()
    assert write_graphs([stage], folder) == {}
    assert (folder / f"{stage.name}.safetensors").read_bytes() == weights
    bundle = read_bundle(folder)
    graph = bundle.graphs[stage.name].read_bytes()
    assert len(graph) < 250_000
    assert b"/site-packages/" not in graph
    trained = {name for name, _ in stage.named_parameters() if not TEACHING.search(name)}
    assert trained <= {tensor.name for tensor in external_tensors(graph)}
    assert sum(file.stat().st_size for file in bundle.goldens.values()) < 100_000
    own = stage.exported()
    for engine in ENGINES:
        runner = open_runner(bundle, stage.name, Computing(engine, "float32", threads=1))
        for seed, size in enumerate(sizes):
            images = np.random.default_rng(seed).normal(size=size).astype(np.float32)
            more = [np.arange(7, 7 + size[0])] if len(own.inputs) > 1 else []
            with torch.inference_mode():
                right = own.module(torch.from_numpy(images), *map(torch.from_numpy, more)).numpy()
            np.testing.assert_allclose(runner(images, *more), right, atol=1e-4, rtol=1e-4)
    assert all(row.right for row in verify(bundle))


class Doubling(nn.Module):
    """Something with weights."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, images):
        return self.inner(images) * 2


def written(module, folder):
    """A bundle of a module under the tiny recipe's stage, not a stage at all."""
    recipe = read_recipe("retina-av", TINY)
    return write_bundle(Bundle(recipe=recipe, weights={"vessels": module.state_dict()}, card={}), folder)


def learner(module, size=(1, 1, 9, 10)):
    """What a learner says of itself."""

    class Learner:
        name = "vessels"

        def exported(self):
            return Exported(module, (torch.zeros(size),), ((2, 3),))

        def further_exported(self):
            return {}

    return Learner()


@pytest.fixture(scope="module")
def doubling(tmp_path_factory):
    folder = written(module := Doubling(), tmp_path_factory.mktemp("doubling"))
    assert write_graphs([learner(module)], folder) == {}
    return folder, module


def test_a_learner_says_itself_what_its_graph_is(doubling):
    folder, module = doubling
    bundle = read_bundle(folder)
    images = torch.randn(1, 1, 8, 13)
    answer = open_runner(bundle, "vessels", Computing("onnxruntime", threads=1))(images.numpy())
    np.testing.assert_allclose(answer, module(images).detach().numpy(), atol=1e-5)


def test_weights_are_not_in_the_graph_but_beside_it(doubling):
    folder, _ = doubling
    model = onnx.load(folder / "vessels.onnx", load_external_data=False)
    outside = [tensor.name for tensor in model.graph.initializer if tensor.external_data]
    assert sorted(outside) == ["inner.bias", "inner.weight"]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_the_same_stage_gives_the_same_files(doubling, tmp_path):
    folder, module = doubling
    again = written(module, tmp_path / "again")
    write_graphs([learner(module)], again)
    for name in ("vessels.onnx", "vessels.golden.safetensors", "bundle.json"):
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_weights_of_another_training_are_told(doubling):
    folder, _ = doubling
    with pytest.raises(BundleError, match="inner"):
        export_graph(
            Exported(Doubling(), (torch.zeros(1, 1, 9, 10),), ((2, 3),)),
            (folder / "vessels.safetensors").read_bytes(), "vessels.safetensors",
        )  # fmt: skip


class Undrawable(Doubling):
    """No graph can be made of what depends on values so."""

    def forward(self, images):
        return self.inner(images) * (2 if float(images.sum()) > 0 else 3)


def test_a_network_of_which_there_is_no_graph_leaves_the_bundle_to_pytorch(tmp_path):
    folder = written(module := Undrawable(), tmp_path / "bundle")
    reasons = write_graphs([learner(module)], folder)
    assert list(reasons) == ["vessels"]
    assert "\n" not in reasons["vessels"]
    assert read_bundle(folder).graphs == {}


def test_a_graph_that_answers_otherwise_is_not_kept(tmp_path, monkeypatch):
    folder = written(module := Doubling(), tmp_path / "bundle")
    right = graphs.golden_cases

    def wrong(own, name):
        cases = right(own, name)
        cases[1].answer[:] += 1
        return cases

    monkeypatch.setattr(graphs, "golden_cases", wrong)
    assert "answers otherwise" in write_graphs([learner(module)], folder)["vessels"]
    assert read_bundle(folder).graphs == {}


def test_a_stage_whose_network_is_no_graph_is_told(tmp_path):
    folder, stage = written(Doubling(), tmp_path / "bundle"), learner(Doubling())
    stage.exported = lambda: None
    assert write_graphs([stage], folder) == {"vessels": "its network is no graph"}
    assert read_bundle(folder).graphs == {}


def test_a_stage_may_have_further_graphs_of_the_same_weights(tmp_path, monkeypatch):
    folder, stage = written(module := Doubling(), tmp_path / "bundle"), learner(module)
    undrawable = Undrawable()
    undrawable.load_state_dict(module.state_dict())
    others = {"twice": stage.exported(), "never": Exported(undrawable, (torch.zeros(1, 1, 9, 10),), ((2, 3),))}
    monkeypatch.setattr(stage, "further_exported", lambda: others, raising=False)
    assert list(write_graphs([stage], folder)) == ["vessels.never"]
    bundle = read_bundle(folder)
    assert list(bundle.graphs) == list(bundle.goldens) == ["vessels", "vessels.twice"]
    images = torch.randn(1, 1, 8, 13)
    answer = open_runner(bundle, "vessels.twice", Computing("onnxruntime", threads=1))(images.numpy())
    np.testing.assert_allclose(answer, module(images).detach().numpy(), atol=1e-5)


@pytest.mark.slow
def test_a_bundle_of_the_first_format_is_upgraded_in_place(tiny_bundle, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    manifest = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**manifest, "format": 1}))
    before = read_bundle(folder)
    result = CliRunner().invoke(app, ["models", "upgrade", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    after = read_bundle(folder)
    assert json.loads((folder / "bundle.json").read_text())["format"] == 2
    assert list(after.graphs) == ["vessels"]
    assert (after.checksums, after.recipe, after.card) == (before.checksums, before.recipe, before.card)
    for engine in ("openvino", "onnxruntime", "torch"):
        result = CliRunner().invoke(app, ["models", "verify", str(folder), "--engine", engine], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert engine in result.output


def test_a_damaged_bundle_is_not_upgraded(tiny_bundle, tmp_path):
    import shutil

    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    content = (folder / "vessels.safetensors").read_bytes()
    (folder / "vessels.safetensors").write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleError, match="checksum"):
        upgrade_bundle(str(folder))
    assert not list(folder.glob("*.onnx"))
