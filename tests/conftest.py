"""What many tests need: a synthetic fundus data set, a tiny recipe, and the way to the real data."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from scipy import ndimage
from skimage.draw import disk, line

from gracile.recipe import Recipe, read_recipe

# How long an example takes is no fact about the code. The examples are the same each time, so that what fails fails by
# the change at hand; HYPOTHESIS_PROFILE=search draws others.
settings.register_profile("gracile", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gracile"))

TINY = [
    "prepare.diameter=96",
    "stages.vessels.network.options.widths=[8,12,16]",
    "stages.vessels.sampler.patch=[64,64]",
    "stages.vessels.sampler.per_case=4",
    "train.batch_size=4",
    "train.validation=0",
    "train.average_weights=0",
    "trainer.precision=32-true",
    "trainer.threads=1",
    "trainer.graphs=false",
    "trainer.workers=0",
]
"""Settings that make a recipe train in seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that at the end no process works on one while the others wait."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data; the test is skipped where GRACILE_DATA does not name one."""
    folder = os.environ.get("GRACILE_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GRACILE_DATA does not name the folder of the real data")
    return Path(folder)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """retina-av, small enough for a test."""
    return read_recipe("retina-av", TINY)


def draw_fundus(seed: int, size: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn fundus: image ``(size, size, 3)`` uint8, labels ``(size, size)`` uint8, field of view bool.

    Arteries are thin and bright red, veins wide and dark; where they cross the label is 3.
    """
    random = np.random.default_rng(seed)
    region = np.zeros((size, size), dtype=bool)
    region[disk((size / 2, size / 2), size / 2 - 6)] = True
    trees = []
    for width in (1, 2):
        tree = np.zeros((size, size), dtype=bool)
        for _ in range(3):
            start, stop = random.integers(10, size - 10, (2, 2))
            tree[line(*start, *stop)] = True
        trees.append(ndimage.binary_dilation(tree, iterations=width) & region)
    artery, vein = trees
    labels = np.where(artery & vein, 3, np.where(artery, 1, np.where(vein, 2, 0))).astype(np.uint8)
    image = np.zeros((size, size, 3), dtype=np.float32)
    image[region] = (180, 90, 45)
    image[vein] = (110, 30, 25)
    image[artery] = (200, 50, 40)
    image[region] += random.normal(0, 4, (region.sum(), 3))
    return image.clip(0, 255).astype(np.uint8), labels, region


def write_fundus_folder(folder: Path, count: int, size: int = 120, first: int = 0) -> Path:
    """Write a data set of drawn fundus photographs: ``images``, ``labels`` and ``fov``."""
    for name in ("images", "labels", "fov"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        image, labels, region = draw_fundus(seed, size)
        Image.fromarray(image).save(folder / "images" / f"{seed:02d}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{seed:02d}.png")
        Image.fromarray((region * 255).astype(np.uint8)).save(folder / "fov" / f"{seed:02d}_mask.png")
    return folder


@pytest.fixture(scope="session")
def fundus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawn fundus photographs with labels and fields of view; read only."""
    return write_fundus_folder(tmp_path_factory.mktemp("fundus") / "drawn", 4)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny recipe with random weights: it finds every class somewhere, though not well; read only."""
    import torch

    from gracile.bundle import Bundle, write_bundle
    from gracile.learning.learners import build_learner

    with torch.random.fork_rng():
        torch.manual_seed(0)
        stage = build_learner(tiny_recipe.stages[0], tiny_recipe)
        state = stage.bundle_state().items()
        weights = {k: (v + torch.randn(v.shape) if "heads." in k else v).numpy() for k, v in state}
    bundle = Bundle(recipe=tiny_recipe, weights={stage.name: weights}, card={"limits": ["Random weights."]})
    return write_bundle(bundle, tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session", autouse=True)
def _no_graphs() -> Iterator[None]:
    """Trainings of tests make no graphs, which takes longer than they do; graphs have tests of their own."""
    from gracile.learning import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "write_graphs", lambda learners, folder: {})
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """One thread, whatever the test before has left: small networks are quicker so, and learn the same each time."""
    import torch

    torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests of the page renew the pictures of the documents."""
    parser.addoption("--docs-images", action="store_true", help="keep screenshots in docs/images")
    parser.addoption("--page-images", type=Path, help="folder for the pictures of the page that its tests make")
