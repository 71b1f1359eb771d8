"""The graphs find fields of view and scans where Gracile finds them."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from skimage.draw import disk, polygon

from gracile.export.field_of_view import field_of_view
from gracile.export.graph import Graph, Value
from gracile.export.scan import scan
from gracile.runners.openvino import load_openvino
from gracile.transforms.field_of_view import find_field_of_view
from gracile.transforms.scan import find_scan
from tests.conftest import draw_fundus

Search = Callable[[np.ndarray], np.ndarray]


def model_of(search: Callable[[Graph, Value], Value]) -> bytes:
    graph = Graph()
    colors = graph.takes("colors", np.uint8, ["channels", "height", "width"])
    graph.gives("region", search(graph, colors), ["height", "width"])
    content: bytes = graph.model("search", "", {}).SerializeToString()
    return content


def by_onnxruntime(content: bytes) -> Search:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"colors": image})[0]


def by_openvino(content: bytes) -> Search:
    core = load_openvino().Core()
    model = core.compile_model(core.read_model(content, b""), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: model([image])[0]


ENGINES = {"onnxruntime": by_onnxruntime, "openvino": by_openvino}


def fundus(seed: int) -> np.ndarray:
    """A drawn fundus off the middle, with a dark spot, a hole and a second, smaller light."""
    image = np.pad(draw_fundus(seed, 300 + 90 * seed)[0], ((40, 5), (10, 200 + seed), (0, 0)))
    image[disk((170, 150), 30)] = 2
    image[disk((60, image.shape[1] - 60), 30)] = 200
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def spoiled(way: str) -> np.ndarray:
    """A drawn fundus whose border is not all there."""
    image = draw_fundus(5, 460)[0]
    if way == "dark side":
        image = (image * np.clip(1.6 - 1.7 * np.arange(460) / 460, 0.01, 1)[:, None]).astype(np.uint8)
    elif way == "cut by the frame":
        image = image[70:, :-90]
    elif way == "cut, then turned":
        image[:80], image[:, :60] = 0, 0
        image = np.asarray(Image.fromarray(image).rotate(28, Image.Resampling.BILINEAR, expand=True))
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


WAYS = ("dark side", "cut by the frame", "cut, then turned")


def screen(seed: int) -> np.ndarray:
    """A machine's screen with letters, a ruler and a sector, or where the seed is odd a box, of echoes."""
    random = np.random.default_rng(seed)
    image = np.full((360 + 31 * seed, 470 + 57 * seed), 20 * (seed == 2), dtype=np.float64)
    image[20:24, 30:90] = image[-30:-20, 40:44] = 230
    sector, box = (
        [(50, 180), (50, 260), (320, 410), (340, 240), (320, 60)],
        [(40, 70), (40, 400), (330, 400), (330, 70)],
    )
    outline = box if seed % 2 else sector
    inside = np.zeros(image.shape, dtype=bool)
    inside[polygon(*np.transpose(outline), shape=image.shape)] = True
    image[inside] = random.gamma(2.0, 30.0, inside.sum())
    image[150:200, 200:260] = 0
    return image.clip(0, 255).astype(np.uint8)[None]


CASES = {
    "fundus": (field_of_view, find_field_of_view, [*map(fundus, range(3)), *map(spoiled, WAYS)]),
    "scan": (scan, find_scan, [screen(seed) for seed in range(4)]),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", CASES)
def test_it_is_the_same_region(kind: str, engine: str) -> None:
    search, own, images = CASES[kind]
    found = ENGINES[engine](model_of(search))
    for image in images:
        wanted = own(image)
        assert 0.1 < wanted.mean() < 0.9
        np.testing.assert_array_equal(found(image), wanted)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", CASES)
def test_it_is_the_same_where_there_is_no_surround(kind: str, engine: str) -> None:
    search, own, _ = CASES[kind]
    found = ENGINES[engine](model_of(search))
    noise = np.random.default_rng(0).integers(90, 200, (3, 90, 120), dtype=np.uint8)
    for image in (noise, np.zeros((3, 50, 40), dtype=np.uint8), np.full((1, 64, 64), 77, dtype=np.uint8)):
        assert own(image).mean() > 0.99  # corners may be missing
        np.testing.assert_array_equal(found(image), own(image))
