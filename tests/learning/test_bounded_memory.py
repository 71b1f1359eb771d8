"""What a training holds does not grow with its cases: their arrays stay in the run's cache, for every kind of stage."""

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from gracile.case import Case
from gracile.data import CaseFiles
from gracile.geometry import Grid
from gracile.learning.learners import build_learner
from gracile.learning.sampling import prepared_case
from gracile.recipe import Recipe, read_recipe
from gracile.transforms import Prepared, prepare
from tests.stages import spots

NETWORK = "{name: light-unet-3d, options: {width: 4, stride: [1, 1, 1]}}"
CORD = [f"stages.centerline.network={NETWORK}", f"stages.cord.network={NETWORK}", "stages.cord.size=[16, 16]",
        "stages.cord.length=8", "stages.centerline.patch=[16, 16, 16]"]  # fmt: skip
PAIRS = {"a": "b", "b": "a", "c": "d", "d": "c"}
NAMED = ", ".join(f"{{name: {n}, opposite: {PAIRS[n]}}}" if n in PAIRS else f"{{name: {n}}}" for n in spots.NAMES)
MIRRORED = "stages.locate.augment.flip=true"
UNET = "{name: unet, options: {width: 2, levels: 2}}"

RECIPES: dict[str, tuple[str, list[str]]] = {
    "a line, and a column along it": ("spinal-cord", [*CORD, "stages.cord.spacing_mm=[2, 2, 0]"]),
    "whole volumes": ("spinal-cord", [*CORD, "stages.cord.along=''", "stages.cord.spacing_mm=[2, 2, 2]"]),
    "landmarks by heat": ("skull-landmarks", [*spots.SETTINGS, f"landmarks=[{NAMED}]", MIRRORED]),
    "landmarks by windows": (
        "cochlea-landmarks-published", [spots.SETTINGS[0], "stages.windows.spacing_mm=[1, 1, 1]"]
    ),
    "pictures": ("structure-2d", [f"stages.0.network={UNET}", "stages.0.sampler.patch=[32, 32]"]),
    "gated pictures": ("nerve-ultrasound", []),
}  # fmt: skip


def tube(seed: int) -> Case:
    """A volume with a tube of class 1 along its third axis."""
    random, shape = np.random.default_rng(seed), (40, 44, 48)
    x, y, z = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    truth = ((x - 18 - 3 * np.sin(z / 9)) ** 2 + (y - 22) ** 2 < 25).astype(np.uint8)
    image = truth * 3.0 + random.normal(0, 1, shape)
    return Case(f"tube{seed}", image[None].astype(np.float32), Grid(shape, affine=np.diag([1, 1, 1, 1.0])), truth=truth)


def picture(seed: int) -> Case:
    random = np.random.default_rng(seed)
    truth = np.zeros((160, 200), np.uint8)
    truth[40:90, 60:120] = 1
    image = (random.integers(0, 100, (160, 200, 3)) + 100 * truth[..., None]).astype(np.uint8)
    return Case.from_array(image, id=f"picture{seed}", truth=truth)


def case_of(recipe: Recipe, seed: int) -> Case:
    if recipe.landmarks:
        return spots.head(seed)
    return tube(seed) if recipe.input.kind == "volume" else picture(seed)


@cache
def read(name: str) -> Recipe:
    recipe, settings = RECIPES[name]
    return read_recipe(recipe, settings)


def cached(recipe: Recipe, count: int, folder: Path, patch: pytest.MonkeyPatch) -> list[Prepared]:
    """Cases as a training has them."""
    patch.setattr("gracile.learning.sampling.read_case", lambda files, recipe: case_of(recipe, int(files.id[4:])))
    label = None if recipe.landmarks else Path("label.nii.gz")
    files = [CaseFiles(f"case{number}", Path("image"), label, None, f"case{number}") for number in range(count)]
    return [prepared_case(one, recipe, folder) for one in files]


@pytest.mark.parametrize("name", RECIPES)
def test_neither_a_training_nor_a_worker_of_it_holds_the_cases(name, tmp_path, monkeypatch):
    recipe = read(name)
    cases = cached(recipe, 4, tmp_path, monkeypatch)
    image = case_of(recipe, 0).image.size * 4
    assert len(pickle.dumps(cases)) / len(cases) < 4_000
    for spec in recipe.stages:
        stage = build_learner(spec, recipe)
        few, all_of_them = (
            pickle.dumps((stage.samples(some, seed=0), stage.held_back(some))) for some in (cases[:2], cases)
        )
        assert (len(all_of_them) - len(few)) / 2 < min(16_000, image / 10)
        assert (tmp_path / "case0" / "image.npy").stat().st_size > 100_000


@pytest.mark.parametrize("name", RECIPES)
def test_samples_from_the_cache_are_those_of_cases_in_memory(name, tmp_path, monkeypatch):
    monkeypatch.setattr("gracile.learning.learners.landmark_windows.HELD_BACK_WINDOWS", 1)
    recipe = read(name)
    stored = cached(recipe, 2, tmp_path, monkeypatch)
    held = [prepare(case_of(recipe, number), recipe, allow_wrong_kind=True)[0] for number in range(2)]
    for number, case in enumerate(held):
        case.subject = f"case{number}"
    for spec in recipe.stages:
        stage = build_learner(spec, recipe)
        for first, other in ((stage.samples(held, 3), stage.samples(stored, 3)),
                             (stage.held_back(held), stage.held_back(stored))):  # fmt: skip
            for index in (0, 1):
                for key, part in first[index].items():
                    torch.testing.assert_close(other[index][key], part, equal_nan=True)


def test_the_cache_of_a_volume_holds_its_classes_as_indices(tmp_path, monkeypatch):
    (case,) = cached(read("whole volumes"), 1, tmp_path, monkeypatch)
    assert case.truth is None
    assert case.labels is not None
    assert (case.labels.dtype, case.labels.shape) == (np.uint8, case.image.shape[1:])


def test_what_is_kept_is_made_once(tmp_path, monkeypatch):
    recipe = read("whole volumes")
    (case,) = cached(recipe, 1, tmp_path, monkeypatch)
    stage = build_learner(recipe.stages[-1], recipe)
    first = stage.samples([case], 0)[0]
    monkeypatch.setattr("gracile.transforms.prepared.resample_to_spacing", None)
    monkeypatch.setattr("gracile.learning.learners.segment_volume.resample_to_spacing", None)
    again = stage.samples([case], 0)[0]
    assert all(torch.equal(part, again[key]) for key, part in first.items())
