"""An exported picture model answers as the pipeline does, pixel for pixel, whatever its recipe says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy import ndimage

from gracile.bundle import Bundle, read_bundle
from gracile.case import Case
from gracile.errors import BundleError, RecipeError
from gracile.export.picture_graph import picture_model
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe, recipe_from
from gracile.result import Result
from gracile.runners import Computing
from tests.conftest import draw_fundus

Answer = dict[str, np.ndarray]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """``(height, width, 3)`` uint8 of soft spots, none of whose borders are even."""
    random = np.random.default_rng(seed)
    spots = ndimage.gaussian_filter(random.normal(size=(height, width, 3)), (5, 5, 0))
    return ((spots - spots.min()) / np.ptp(spots) * 255).astype(np.uint8)


def running(bundle: Bundle) -> Callable[..., Answer]:
    """The exported model as a function of a picture and, if given, a region."""
    content = picture_model(bundle, "model").SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]

    def run(image: np.ndarray, **more: np.ndarray) -> Answer:
        return dict(zip(names, session.run(None, {"image": image, **more}), strict=True))

    return run


def own(bundle: Bundle, image: np.ndarray, region: np.ndarray | None = None) -> Result:
    """What the pipeline says."""
    pipeline = Pipeline.from_bundle(bundle, Computing("onnxruntime", "float32", threads=1))
    return pipeline(Case.from_array(image, region=region), keep_probabilities=True)


def require_equal(answer: Answer, result: Result) -> None:
    """Masks to the pixel, probabilities to what float32 leaves."""
    assert result.mask is not None
    assert answer["mask"].dtype == np.uint8
    np.testing.assert_array_equal(answer["mask"], result.mask)
    if result.probabilities is not None:
        np.testing.assert_allclose(answer["probabilities"], result.probabilities, atol=2e-5)


def open_gate(bundle: Bundle, is_open: bool = True) -> Bundle:
    """With a gate that lets everything or nothing pass."""
    bundle.weights["presence"]["threshold"] = np.array(0.0 if is_open else 1.1)
    return bundle


OPTIONS = {
    "as shipped": [],
    "zscore": ["prepare.intensity=zscore"],
    "percentile": ["prepare.intensity=percentile"],
    "median-shift": ["prepare.intensity=median-shift"],
    "window": ["prepare.intensity={method: window, low: 20, high: 190}"],
    "training set": ["prepare.intensity={method: training-set, low: 9, high: 222, mean: 110, deviation: 48}"],
    "by channel": ["prepare.intensity=[unit, zscore, {method: window, low: 20, high: 190}]"],
    "own scale": ["prepare.diameter=0"],
    "large": ["prepare.diameter=300", "prepare.margin=9"],
    "four views": ["stages.structures.flips=true"],
    "two views": ["stages.structures.flips=horizontal"],
    "foreground first": [f"stages.structures.decision.{rule}" for rule in ("rule=foreground-first", "threshold=0.2")],
    "kinds of frames": ["stages.presence.classes=[empty,busy]", "stages.presence.present=[busy]"],
    "no gate": ["stages.presence.enabled=false"],
}  # fmt: skip


@pytest.mark.parametrize("settings", OPTIONS.values(), ids=OPTIONS)
def test_every_option_is_expressed(settings: list[str]) -> None:
    bundle = open_gate(read_bundle("surgical-tool", ["prepare.diameter=96", *settings]))
    run = running(bundle)
    found = 0
    for height, width in [(120, 160), (77, 41), (150, 331)]:
        image = picture(height, width)
        region = np.zeros((height, width), dtype=bool)
        region[9:-5, 3:-14] = True
        for given in (None, region):
            answer = run(image) if given is None else run(image, region=given.astype(np.uint8))
            result = own(bundle, image, given)
            require_equal(answer, result)
            found += np.count_nonzero(answer["mask"])
            assert given is None or not answer["mask"][~given].any()
    assert found > 100


def test_whole_gray_levels_are_those_of_pillow() -> None:
    run = running(bundle := open_gate(read_bundle("surgical-tool")))
    for height, width in [(512, 512), (480, 640), (574, 271), (271, 574), (540, 270)]:
        image = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
        answer, result = run(image), own(bundle, image)
        # One gray level in one pixel would show.
        np.testing.assert_allclose(answer["probabilities"], result.probabilities, atol=2e-6)


def test_a_shut_gate_leaves_background_alone_and_says_what_it_saw() -> None:
    image = picture(120, 160)
    bundle = open_gate(read_bundle("surgical-tool"), is_open=False)
    answer, result = running(bundle)(image), own(bundle, image)
    assert result.status == "absent"
    assert not answer["mask"].any()
    assert (answer["probabilities"] == np.eye(1, 2).reshape(2, 1, 1)).all()
    assert not answer["presence_open"]
    assert answer["presence_probabilities"][1] == pytest.approx(result.gates["tool"], abs=1e-6)
    opened = running(open_gate(bundle))(image)
    assert opened["presence_open"]
    assert opened["mask"].any()


def gated_vessels(closes: list[str]) -> Bundle:
    """Vessels of the retina behind the gate for tools, which closes some of their classes."""
    vessels, tools = read_bundle("retina-av"), read_bundle("surgical-tool")
    content = vessels.recipe.model_dump(mode="json")
    gate = tools.recipe.stages[0].model_dump(mode="json") | {"structures": closes}
    content["stages"] = [gate, *content["stages"]]
    content["prepare"]["diameter"] = 128
    content["stages"][-1]["decision"] = {"rule": "foreground-first", "threshold": 0.02}  # shows the least of a vessel
    return Bundle(
        recipe=recipe_from(content), weights={**vessels.weights, **tools.weights}, card={},
        checksums={**vessels.checksums, **tools.checksums}, graphs={**vessels.graphs, **tools.graphs},
        graph_checksums={**vessels.graph_checksums, **tools.graph_checksums},
    )  # fmt: skip


@pytest.mark.parametrize("is_open", [True, False])
def test_a_gate_closes_its_own_classes_alone(is_open: bool) -> None:
    image, _, _ = draw_fundus(3, 200)
    bundle = open_gate(gated_vessels(["artery", "uncertain"]), is_open)
    answer = running(bundle)(image)
    require_equal(answer, own(bundle, image))
    assert (answer["mask"] == 2).any()
    assert is_open or not np.isin(answer["mask"], (1, 3)).any()


def test_a_fundus_is_found_and_its_surround_stays_background() -> None:
    bundle = read_bundle("retina-av", ["prepare.diameter=128"])
    image = np.pad(draw_fundus(1, 260)[0], ((3, 30), (50, 11), (0, 0)))
    answer, result = running(bundle)(image), own(bundle, image)
    require_equal(answer, result)
    assert result.region is not None
    assert 0.5 < result.region.mean() < 0.7
    assert not answer["mask"][~result.region].any()


def test_sides_change_in_mirror_images() -> None:
    sides = ["classes.nerve.opposite=vessel", "classes.vessel.opposite=nerve", "prepare.diameter=96"]
    image = picture(110, 140)
    bundle = read_bundle("nerve-ultrasound", sides)
    answer = running(bundle)(image)
    require_equal(answer, own(bundle, image))
    plain = running(read_bundle("nerve-ultrasound", sides[2:]))(image)
    assert np.abs(plain["probabilities"] - answer["probabilities"]).max() > 0.01


def network_of_one_convolution(file: Path, size: tuple[int | None, int | None]) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["images", "weights"], ["answer"], pads=[1, 1, 1, 1])
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, *size])
        for name, channels in (("images", 3), ("answer", 4))
    ]
    graph = helper.make_graph([node], "net", ports[:1], ports[1:], [numpy_helper.from_array(weights, "weights")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)


@pytest.mark.parametrize("settings", [[], ["stages.segment.flips=true", "stages.segment.decision.threshold=0.7"]])
def test_regions_that_overlap_are_written_in_their_order(tmp_path: Path, settings: list[str]) -> None:
    classes = ", ".join(f"{{name: {name}, color: [{index}, 0, 0]}}" for index, name in enumerate(["none", *"abcd"]))
    regions = "regions={all: [a, b, c, d], rest: [b, c, d], pair: [c, d], d: [d]}"
    recipe = read_recipe("structure-2d", [f"classes=[{classes}]", regions, "prepare.diameter=96", *settings])
    network_of_one_convolution(tmp_path / "net.onnx", (None, None))
    bundle = Bundle(
        recipe=recipe, weights={"segment": {}}, card={}, checksums={"segment": "a"},
        graphs={"segment": tmp_path / "net.onnx"}, graph_checksums={"segment": "b"},
    )  # fmt: skip
    image = picture(110, 140)
    answer, result = running(bundle)(image), own(bundle, image)
    require_equal(answer, result)
    assert result.maps == ["none", "all", "rest", "pair", "d"]
    assert answer["probabilities"][1:].sum(axis=0).max() > 1.2
    assert len(np.unique(answer["mask"])) > 2


@pytest.mark.parametrize("flips", [False, True])
def test_fused_branches_look_at_the_whole_picture_in_their_own_size(tmp_path: Path, flips: bool) -> None:
    content = read_bundle("retina-av").recipe.model_dump(mode="json")
    spec = read_recipe("retina-av-fusion").stages[-1].model_dump(mode="json") | {"size": [64, 96], "flips": flips}
    content["stages"], content["prepare"]["diameter"] = [spec], 150
    network_of_one_convolution(tmp_path / "net.onnx", (64, 96))
    name = spec["name"]
    bundle = Bundle(
        recipe=recipe_from(content), weights={name: {}}, card={}, checksums={name: "a"},
        graphs={name: tmp_path / "net.onnx"}, graph_checksums={name: "b"},
    )  # fmt: skip
    image, _, _ = draw_fundus(2, 180)
    require_equal(running(bundle)(image), own(bundle, image))


def test_a_stranger_s_graph_is_not_taken_in(tmp_path: Path) -> None:
    bundle = read_bundle("surgical-tool")
    network_of_one_convolution(tmp_path / "net.onnx", (256, 256))
    model = onnx.load(tmp_path / "net.onnx")
    model.opset_import[0].version = 11
    onnx.save(model, tmp_path / "net.onnx")
    bundle.graphs["structures"] = tmp_path / "net.onnx"
    with pytest.raises(BundleError, match=r"net\.onnx is no graph as Gracile makes them.*models upgrade"):
        picture_model(bundle, "model")


def test_what_no_graph_expresses_is_refused() -> None:
    bundle = read_bundle("surgical-tool", ["stages.structures.decision.smallest=10"])
    with pytest.raises(RecipeError, match=r"small islands.*--set stages\.structures\.decision\.smallest=0"):
        picture_model(bundle, "model")
    for setting in ("largest_only", "fill_holes", "hold_together"):
        bundle = read_bundle("surgical-tool", [f"stages.structures.decision.{setting}=true"])
        with pytest.raises(RecipeError, match=rf"--set stages\.structures\.decision\.{setting}=false"):
            picture_model(bundle, "model")
    bundle = read_bundle("surgical-tool")
    del bundle.graphs["presence"]
    with pytest.raises(BundleError, match=r"stage 'presence' has no graph.*gracile models upgrade"):
        picture_model(bundle, "model")
