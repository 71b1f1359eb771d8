"""A bundle gives the answer of the pipeline that was written, and refuses whatever is damaged or dangerous."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from gracile.api import Model, load
from gracile.bundle import Bundle, add_graphs, read_bundle, write_bundle, write_card
from gracile.case import Case
from gracile.errors import BundleError, GracileError, RecipeError
from gracile.learning.learners import build_learner
from gracile.names import MODELS
from gracile.pipeline import Pipeline
from tests.conftest import draw_fundus
from tests.runners.graphs import graph_content, some_weights, write_graph_bundle

WEIGHTS = "vessels.safetensors"


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    """A bundle that a test may spoil."""
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def change_manifest(folder, change):
    path = folder / "bundle.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_bundle_that_was_written_gives_the_same_answer(tiny_recipe, tmp_path):
    torch.manual_seed(3)
    stage = build_learner(tiny_recipe.stages[0], tiny_recipe)
    image, _, _ = draw_fundus(0)
    pipeline = Pipeline(tiny_recipe, [stage.applied()])
    expected = pipeline(Case.from_array(image), keep_probabilities=True)
    # By now the weights lie channels-last, as they do after training.
    bundle = Bundle(recipe=tiny_recipe, weights={stage.name: stage.bundle_state()}, card={"data": {"cases": 2}})
    folder = write_bundle(bundle, tmp_path / "bundle")
    found = read_bundle(folder)
    assert found.recipe == tiny_recipe
    assert found.card == bundle.card
    answer = Model(found)(image, probabilities=True)
    np.testing.assert_array_equal(answer.mask, expected.mask)
    np.testing.assert_array_equal(answer.probabilities, expected.probabilities)


def test_checksums_are_those_of_the_files(tiny_bundle):
    assert read_bundle(tiny_bundle).checksums == {
        "vessels": hashlib.sha256((tiny_bundle / WEIGHTS).read_bytes()).hexdigest()
    }


def test_the_card_is_there_for_people_to_read(tiny_bundle):
    assert "Random weights." in (tiny_bundle / "card.md").read_text()


def test_a_training_run_is_named_by_its_own_folder(copy):
    shutil.move(copy, copy.parent / "run" / "bundle")
    assert read_bundle(copy.parent / "run").recipe.name == "retina-av"


def test_settings_change_the_recipe_of_a_bundle(tiny_bundle):
    assert read_bundle(tiny_bundle, ["stages.vessels.flips=true"]).recipe.stages[0].flips
    with pytest.raises(RecipeError, match="flips"):
        read_bundle(tiny_bundle, ["stages.vessels.flip=true"])


def test_a_flipped_bit_in_the_weights_is_noticed(copy):
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(BundleError, match="checksum"):
        read_bundle(copy)


def test_a_missing_weights_file_is_named(copy):
    (copy / WEIGHTS).unlink()
    with pytest.raises(BundleError, match=WEIGHTS):
        read_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format=4),
        lambda m: m.pop("recipe"),
        lambda m: m.update(run="import os"),
        lambda m: m["weights"]["vessels"].pop("sha256"),
        lambda m: m["recipe"].update(stages=[]),
        lambda m: m["recipe"].update(classes=m["recipe"]["classes"][:1]),
        lambda m: m["recipe"]["stages"][0]["network"]["options"].update(widths=[4, 8, 12]),
        lambda m: m["recipe"]["stages"][0]["network"].update(name="monai:NoSuchNet"),
        lambda m: m.update(weights={}),
        lambda m: m["weights"].update(lines=m["weights"].pop("vessels")),
    ],
    ids=["newer format", "no recipe", "unknown entry", "no checksum", "no stages", "one class", "other widths",
         "other network", "no weights", "other stage"],
)  # fmt: skip
def test_a_changed_manifest_is_refused(copy, change):
    change_manifest(copy, change)
    with pytest.raises(GracileError):
        load(copy, device="cpu")


def test_a_recipe_of_another_version_is_the_bundles_fault_and_a_setting_is_the_users(copy):
    with pytest.raises(RecipeError, match="epochs"):
        read_bundle(copy, ["train.epoch=3"])
    change_manifest(copy, lambda manifest: manifest["recipe"].update(prophecy=True))
    with pytest.raises(BundleError, match="prophecy"):
        read_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_manifest_that_is_no_json_is_refused(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        read_bundle(copy)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("save", [lambda t, p: p.write_bytes(pickle.dumps(t)), lambda t, p: torch.save({"w": t}, p)])
def test_a_pickle_in_place_of_the_weights_is_never_opened(copy, tmp_path, save):
    save(Trap(tmp_path / "sprung"), copy / WEIGHTS)
    digest = hashlib.sha256((copy / WEIGHTS).read_bytes()).hexdigest()
    change_manifest(copy, lambda m: m["weights"]["vessels"].update(sha256=digest))
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(copy)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["../outside.safetensors", "{absolute}", "sub/inside.safetensors", "..", ".", ""])
def test_a_weights_file_outside_the_bundle_is_refused(copy, name):
    outside = copy.parent / "outside.safetensors"
    shutil.copy(copy / WEIGHTS, outside)
    (copy / "sub").mkdir()
    shutil.copy(copy / WEIGHTS, copy / "sub" / "inside.safetensors")
    change_manifest(copy, lambda m: m["weights"]["vessels"].update(file=name.format(absolute=outside)))
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_an_unknown_model_is_refused_with_the_shipped_ones():
    with pytest.raises(BundleError, match=", ".join(MODELS)):
        read_bundle("retina-aw")


def test_half_a_bundle_is_none(tiny_bundle, tmp_path, monkeypatch):
    def full(*_):
        raise OSError

    monkeypatch.setattr("gracile.bundle.write_text", full)
    with pytest.raises(OSError):  # noqa: PT011
        write_bundle(read_bundle(tiny_bundle), tmp_path / "half")
    with pytest.raises(BundleError, match="no model"):
        read_bundle(tmp_path / "half")


GRAPH = "vessels.onnx"


@pytest.fixture
def with_graph(tiny_recipe, tmp_path):
    """A bundle of one small graph that a test may spoil."""
    return write_graph_bundle(tiny_recipe, tmp_path / "graphs")


def put_graph(folder, content):
    """Another graph in a bundle, whose manifest knows it."""
    (folder / GRAPH).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    change_manifest(folder, lambda m: m["weights"]["vessels"]["graph"].update(sha256=digest))


def test_a_bundle_names_its_graphs_and_golden_answers(with_graph, tiny_bundle):
    bundle = read_bundle(with_graph)
    assert bundle.folder == with_graph
    assert bundle.graphs == {"vessels": with_graph / GRAPH}
    assert bundle.graph_checksums == {"vessels": hashlib.sha256((with_graph / GRAPH).read_bytes()).hexdigest()}
    assert bundle.goldens == {"vessels": with_graph / "vessels.golden.safetensors"}
    assert bundle.weights["vessels"]["count"] == 7
    assert json.loads((with_graph / "bundle.json").read_text())["format"] == 2
    plain = read_bundle(tiny_bundle)
    assert (plain.graphs, plain.goldens) == ({}, {})


def test_the_first_format_is_read(copy):
    def older(manifest):
        manifest["format"] = 1
        manifest["weights"]["vessels"] = {k: manifest["weights"]["vessels"][k] for k in ("file", "sha256")}

    expected = read_bundle(copy)
    change_manifest(copy, older)
    found = read_bundle(copy)
    assert (found.checksums, found.graphs) == (expected.checksums, {})
    assert load(copy, device="cpu").recipe == expected.recipe


@pytest.mark.parametrize("name", [GRAPH, "vessels.golden.safetensors"])
def test_a_graph_or_golden_answers_that_are_not_the_bundle_s_are_refused(name, with_graph):
    content = (with_graph / name).read_bytes()
    (with_graph / name).write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleError, match=f"{name} does not have the checksum"):
        read_bundle(with_graph)
    (with_graph / name).unlink()
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        read_bundle(with_graph)


@pytest.mark.parametrize("name", ["../outside.onnx", "sub/inside.onnx", ".."])
def test_a_graph_outside_the_bundle_is_refused(name, with_graph):
    for place in ("..", "sub"):
        (with_graph / place).mkdir(exist_ok=True)
    shutil.copy(with_graph / GRAPH, with_graph / "../outside.onnx")
    shutil.copy(with_graph / GRAPH, with_graph / "sub" / "inside.onnx")
    change_manifest(with_graph, lambda m: m["weights"]["vessels"]["graph"].update(file=name))
    with pytest.raises(BundleError):
        read_bundle(with_graph)


@pytest.mark.parametrize(
    "file", ["../vessels.safetensors", "/etc/passwd", "other.safetensors", "./vessels.safetensors", ""]
)
def test_a_graph_that_takes_weights_from_elsewhere_is_refused(file, with_graph):
    put_graph(with_graph, graph_content(some_weights(), file=file))
    with pytest.raises(BundleError, match=r"vessels\.onnx takes 'head.weight' from elsewhere"):
        read_bundle(with_graph)


def place(key, value):
    def change(model):
        entry = next(e for e in model.graph.initializer[1].external_data if e.key == key)
        entry.value = value(entry.value)

    return change


@pytest.mark.parametrize(
    "change",
    [
        place("offset", lambda offset: str(int(offset) + 4)),
        place("offset", lambda offset: "-8"),
        place("offset", lambda offset: "1000000000"),
        place("length", lambda length: "4"),
        place("length", lambda length: "0x10"),
        lambda model: setattr(model.graph.initializer[1], "name", "head.other"),
        lambda model: setattr(model.graph.initializer[1], "data_type", 6),
        lambda model: model.graph.initializer[1].dims.append(1),
    ],
)
def test_a_graph_that_disagrees_with_its_weights_is_refused(change, with_graph):
    put_graph(with_graph, graph_content(some_weights(), change=change))
    with pytest.raises(BundleError, match=r"vessels\.onnx and vessels\.safetensors disagree about the weight 'head\."):
        read_bundle(with_graph)


def test_a_place_told_in_other_words_is_refused(with_graph):
    def add(model):
        model.graph.initializer[0].external_data.add(key="checksum", value="1")

    put_graph(with_graph, graph_content(some_weights(), change=add))
    with pytest.raises(BundleError, match="from elsewhere"):
        read_bundle(with_graph)


def test_a_graph_of_other_weights_is_refused(with_graph):
    other = {**some_weights(), "head.weight": np.zeros((3, 2, 5, 5), dtype=np.float32)}
    put_graph(with_graph, graph_content(other))
    with pytest.raises(BundleError, match="disagree"):
        read_bundle(with_graph)


def test_a_graph_that_is_none_is_refused(with_graph):
    put_graph(with_graph, b"\xff" * 40)
    with pytest.raises(BundleError, match=r"vessels\.onnx is damaged"):
        read_bundle(with_graph)


def test_graphs_that_disagree_are_not_added_and_the_bundle_stays(with_graph):
    before = {file.name: file.read_bytes() for file in with_graph.iterdir()}
    with pytest.raises(BundleError, match="disagree"):
        add_graphs(with_graph, {"vessels": graph_content({**some_weights(), "before": np.zeros(9)})}, {})
    assert {file.name: file.read_bytes() for file in with_graph.iterdir()} == before


def test_graphs_are_known_when_all_are_there(with_graph, monkeypatch):
    write_bundle(read_bundle(with_graph), with_graph)
    assert not (with_graph / GRAPH).exists()  # those of the bundle that was here before

    def full(*_):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr("gracile.bundle.write_text", full)
        with pytest.raises(OSError):  # noqa: PT011
            add_graphs(with_graph, {"vessels": graph_content(some_weights())}, {})
    assert read_bundle(with_graph).graphs == {}
    add_graphs(with_graph, {"vessels": graph_content(some_weights())}, {})
    assert read_bundle(with_graph).graphs


def test_further_graphs_of_a_stage_are_kept_and_checked_like_its_own(with_graph, copy):
    graph = graph_content(some_weights())
    further = with_graph / "vessels.every-2.onnx"
    add_graphs(with_graph, {"vessels": graph, "vessels.every-2": graph}, {"vessels.every-2": b"golden"})
    bundle = read_bundle(with_graph)
    assert bundle.graphs == {"vessels": with_graph / GRAPH, "vessels.every-2": further}
    assert bundle.goldens == {"vessels.every-2": with_graph / "vessels.every-2.golden.safetensors"}
    foreign = graph_content(some_weights(), file="other.safetensors")
    with pytest.raises(BundleError, match=r"every-2.*from elsewhere than vessels.safetensors"):
        add_graphs(with_graph, {"vessels.every-2": foreign}, {})
    content = further.read_bytes()
    further.write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleError, match=r"every-2.onnx does not have the checksum"):
        read_bundle(with_graph)
    further.write_bytes(content)
    add_graphs(with_graph, {"vessels": graph}, {})
    assert list(read_bundle(with_graph).graphs) == ["vessels"]
    write_bundle(read_bundle(copy), with_graph)
    assert not list(with_graph.glob("*.onnx"))


def test_another_card_leaves_the_graphs(with_graph):
    expected = read_bundle(with_graph)
    write_card(with_graph, {"limits": ["None."]})
    found = read_bundle(with_graph)
    assert found.card == {"limits": ["None."]}
    assert (found.graphs, found.graph_checksums, found.goldens) == (
        expected.graphs, expected.graph_checksums, expected.goldens,
    )  # fmt: skip
