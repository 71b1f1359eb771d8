"""Published Keras weights become a bundle that answers as Keras did; what is no SMICNet is refused with the reason."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import gracile
from gracile.bundle import read_bundle
from gracile.errors import DataError, UsageError
from gracile.io.keras_weights import read_keras_layers
from gracile.learning.import_smicnet import import_smicnet
from gracile.learning.runner import trained_learner
from gracile.networks.smicnet import SMICNet
from tests.networks.test_smicnet import trained_like

CLASS_NAMES = {
    "conv2d": "Conv2D",
    "depthwise_conv2d": "DepthwiseConv2D",
    "batch_normalization": "BatchNormalization",
    "dense": "Dense",
}


def keras_content(network: SMICNet) -> dict[str, dict[str, np.ndarray]]:
    """Weights by layer and name, in Keras's axes: height, width, in, out (depthwise: channels, 1); dense: in, out."""
    content: dict[str, dict[str, np.ndarray]] = {}

    def add(kind: str, **weights: torch.Tensor) -> None:
        number = sum(re.sub(r"_\d+$", "", name) == kind for name in content)
        content[f"{kind}_{number}" if number else kind] = {k: v.detach().numpy() for k, v in weights.items()}

    for block in network.blocks:
        add("depthwise_conv2d", depthwise_kernel=block.depthwise.weight.permute(2, 3, 0, 1), bias=block.depthwise.bias)
        norm = block.norm
        add(
            "batch_normalization", gamma=norm.weight, beta=norm.bias, moving_mean=norm.running_mean,
            moving_variance=norm.running_var,
        )  # fmt: skip
        add("conv2d", kernel=block.pointwise.weight.permute(2, 3, 1, 0), bias=block.pointwise.bias)
        if block.shortcut is not None:
            add("conv2d", kernel=block.shortcut.weight.permute(2, 3, 1, 0), bias=block.shortcut.bias)
    add("dense", kernel=network.hidden.weight.T, bias=network.hidden.bias)
    add("dense", kernel=network.classes.weight.T, bias=network.classes.bias)
    return content


def write_keras(path: Path, content: dict[str, dict[str, np.ndarray]], whole: bool = True, **changed: dict) -> Path:
    """A file as Keras 2 writes it: a whole model with its configuration, or weights alone."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        for layer, weights in content.items():
            for name, array in weights.items():
                group.create_dataset(f"{layer}/{layer}/{name}:0", data=array)
        if whole:
            group.create_group("max_pooling2d")
            layers = []
            for layer in content:
                kind = re.sub(r"_\d+$", "", layer)
                stride = 1
                if kind == "conv2d" and layer != "conv2d" and int(layer.split("_")[1]) % 2 == 0:
                    stride = 3 if layer == "conv2d_8" else 2
                settings = {"name": layer, "epsilon": 0.001, "strides": [stride, stride], "padding": "same"}
                layers.append({"class_name": CLASS_NAMES[kind], "config": settings | changed.get(layer, {})})
            leaky = {"name": "leaky_re_lu", "alpha": 0.30000001192092896} | changed.get("leaky_re_lu", {})
            layers.append({"class_name": "LeakyReLU", "config": leaky})
            group.create_group("leaky_re_lu")
            file.attrs["model_config"] = json.dumps({"config": {"layers": layers}})
    return path


@pytest.fixture(autouse=True)
def _no_graphs(request, monkeypatch):
    """But where a test is about them: they take longer to make than all else."""
    if "graphs" not in request.node.name and not request.node.get_closest_marker("real"):
        monkeypatch.setattr("gracile.learning.import_smicnet.write_graphs", lambda learners, folder: {})


@pytest.fixture(scope="module")
def network() -> SMICNet:
    torch.manual_seed(5)
    return trained_like(SMICNet(1, 4))


@pytest.mark.parametrize("whole", [True, False])
def test_a_bundle_answers_as_the_keras_model(network, tmp_path, whole):
    file = write_keras(tmp_path / "model.h5", keras_content(network), whole)
    out = import_smicnet(file, tmp_path / "bundle")
    stage = gracile.load(out, device="cpu").pipeline.stages[0].run.learner
    windows = torch.rand(4, 1, 81, 81)
    with torch.inference_mode():
        torch.testing.assert_close(stage.logits(windows), network(windows), atol=1e-5, rtol=1e-5)
    bundle = read_bundle(out)
    assert bundle.recipe.landmark_names == ["apex", "basal", "round-window"]
    assert bundle.card["imported"]["file"] == "model.h5"


def test_an_imported_network_has_graphs(network, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = import_smicnet(write_keras(tmp_path / "model.h5", keras_content(network)), tmp_path / "bundle")
    assert list(read_bundle(out).graphs) == ["windows"]
    stage = gracile.load(out, device="cpu").pipeline.stages[0]
    assert stage.run.computed.engine == "openvino"
    window = np.random.default_rng(0).random((1, 81, 81), dtype=np.float32)
    with torch.inference_mode():
        right = network(torch.from_numpy(window)[None]).softmax(dim=1).numpy()
    np.testing.assert_allclose(stage.windows.at(window, np.array([[0, 40, 40]])), right, atol=1e-5)


def test_landmarks_stay_in_the_order_of_the_last_layer(network, tmp_path):
    content = keras_content(network)
    content["dense_1"]["bias"] = np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    content["dense_1"]["kernel"] = np.zeros((384, 4), dtype=np.float32)
    out = import_smicnet(write_keras(tmp_path / "model.h5", content), tmp_path / "bundle", ["a", "b", "c"])
    model = gracile.load(out, device="cpu")
    assert model.recipe.landmark_names == ["a", "b", "c"]
    with torch.inference_mode():
        assert model.pipeline.stages[0].run.learner.logits(torch.rand(1, 1, 81, 81))[0].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_more_than_ten_layers_of_a_kind_keep_their_order(network, tmp_path):
    content = keras_content(network)
    renamed = {}
    for name, part in content.items():
        kind, _, number = name.partition("2d_")
        convolution = name == "conv2d" or (kind == "conv" and number)
        renamed[f"conv2d_{int(number or 0) + 7}" if convolution else name] = part
    layers = read_keras_layers(write_keras(tmp_path / "model.h5", renamed, whole=False))
    names = [layer.name for layer in layers if layer.kind == "Conv2D"]
    assert names == [f"conv2d_{number}" for number in range(7, 16)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_normalization_2": {"epsilon": 0.01}}, "epsilon 0.01"),
        ({"conv2d_8": {"strides": [2, 2]}}, "conv2d_8 has strides"),
        ({"depthwise_conv2d_1": {"padding": "valid"}}, "padding valid"),
        ({"leaky_re_lu": {"alpha": 0.2}}, "alpha 0.2"),
    ],
)
def test_other_settings_than_the_published_are_refused(network, tmp_path, changed, message):
    file = write_keras(tmp_path / "model.h5", keras_content(network), **changed)
    with pytest.raises(DataError, match=message):
        import_smicnet(file, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_files_of_other_networks_are_refused_with_what_they_hold(network, tmp_path):
    content = keras_content(network)
    fewer = {name: part for name, part in content.items() if name != "conv2d_8"}
    with pytest.raises(DataError, match="8 Conv2D"):
        import_smicnet(write_keras(tmp_path / "a.h5", fewer), tmp_path / "bundle")
    wide = content | {"dense": {**content["dense"], "kernel": np.zeros((512, 384), dtype=np.float32)}}
    with pytest.raises(DataError, match=r"dense has weights of \(384, 512\), not \(384, 256\)"):
        import_smicnet(write_keras(tmp_path / "b.h5", wide), tmp_path / "bundle")
    bare = content | {"conv2d_3": {"kernel": content["conv2d_3"]["kernel"]}}
    with pytest.raises(DataError, match="conv2d_3 has no weights named bias"):
        import_smicnet(write_keras(tmp_path / "c.h5", bare), tmp_path / "bundle")
    broken = content | {"dense_1": {**content["dense_1"], "bias": np.full(4, np.nan, dtype=np.float32)}}
    with pytest.raises(DataError, match="no numbers"):
        import_smicnet(write_keras(tmp_path / "d.h5", broken), tmp_path / "bundle")


def test_files_that_are_no_keras_models_are_refused(tmp_path):
    text, empty = tmp_path / "text.h5", tmp_path / "empty.h5"
    text.write_text("weights")
    h5py.File(empty, "w").close()
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file.attrs["model_config"] = "{not json"
    for path, message in ((text, "cannot be read"), (empty, "no weights"), (other, "cannot be read")):
        with pytest.raises(DataError, match=message):
            import_smicnet(path, tmp_path / "bundle")
    with pytest.raises(DataError, match="cannot be read"):
        import_smicnet(tmp_path / "absent.h5", tmp_path / "bundle")


def test_names_must_be_as_many_as_the_classes(network, tmp_path):
    file = write_keras(tmp_path / "model.h5", keras_content(network))
    with pytest.raises(UsageError, match="3 landmarks from the background, and 2 names"):
        import_smicnet(file, tmp_path / "bundle", ["a", "b"])
    with pytest.raises(UsageError, match="name of its own"):
        import_smicnet(file, tmp_path / "bundle", ["a", "b", "a"])


@pytest.fixture(scope="module")
def reference(real_data: Path) -> Path:
    """Folder of the published weights, beside that of the real data."""
    folder = real_data.parent / "reference" / "smicnet"
    if not folder.is_dir():
        pytest.skip("the published weights are not there")
    return folder


@pytest.mark.real
@pytest.mark.parametrize("volumes", [5, 11])
def test_the_published_networks_answer_as_under_keras(reference, tmp_path, volumes):
    expected = np.load(reference / "reference_outputs.npz")
    file = reference / f"model_{volumes}volumes.h5"
    bundle = read_bundle(import_smicnet(file, tmp_path / "bundle"))
    learner = trained_learner(bundle, bundle.recipe.stages[0])
    with torch.inference_mode():
        logits = learner.logits(torch.from_numpy(expected["patches"]).permute(0, 3, 1, 2))
    assert np.abs(logits.softmax(dim=1).numpy() - expected[f"volumes_{volumes}"]).max() < 1e-4
    stage = gracile.load(tmp_path / "bundle").pipeline.stages[0]
    assert stage.run.computed.engine == "openvino"
    middles = np.array([(number, 40, 40) for number in range(len(expected["patches"]))])
    found = stage.windows.at(expected["patches"][..., 0], middles)
    assert np.abs(found - expected[f"volumes_{volumes}"]).max() < 1e-4
    with h5py.File(file) as content:
        kernel = np.asarray(content["model_weights/dense_1/dense_1/kernel:0"])
    # On these patches only two of the classes are ever the answer: the order of all four stands in the last layer.
    assert np.array_equal(learner.network.classes.weight.detach().numpy(), kernel.T)
