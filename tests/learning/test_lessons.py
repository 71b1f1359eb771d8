"""A check of the data and a training refuse the same data, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gracile import train
from gracile.api.checking import check_data
from gracile.errors import GracileError
from gracile.recipe import read_recipe

SETTINGS = ["stages.segment.network={name: light-unet, options: {}}", "prepare.diameter=32", "trainer.workers=0"]


class Begun(Exception):
    """A training has come to its first step."""


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    mask = np.zeros((32, 32))
    mask[10:20, 10:20] = 1
    for number in range(4):
        save(tmp_path / f"data/images/{number}.png", np.random.default_rng(number).integers(0, 256, (32, 32, 3)))
        save(tmp_path / f"data/labels/{number}.png", mask)
    return tmp_path / "data"


def empty(folder, count):
    for number in range(count):
        save(folder / f"labels/{number}.png", np.zeros((32, 32)))


def unlabeled(folder, count):
    for number in range(count):
        (folder / f"labels/{number}.png").unlink()


def split(folder, train, validation):
    path = folder.parent / "split.json"
    path.write_text(json.dumps({"train": train, "validation": validation}))
    return path


SPOILED = {
    "good": (lambda f: None, False),
    "some masks are empty": (lambda f: empty(f, 2), False),
    "every mask is empty": (lambda f: empty(f, 4), True),
    "partly labeled": (lambda f: unlabeled(f, 2), False),
    "not labeled": (lambda f: unlabeled(f, 4), True),
    "a label of no image": (lambda f: save(f / "labels/z.png", np.ones((32, 32))), False),
    "no label of any image": (lambda f: [p.rename(p.with_name(f"x{p.name}")) for p in (f / "labels").iterdir()], True),
    "a label all over": (lambda f: save(f / "labels/0.png", np.ones((32, 32))), False),
    "one picture twice": (lambda f: (f / "images/0.png").write_bytes((f / "images/1.png").read_bytes()), False),
    "an unknown value": (lambda f: save(f / "labels/0.png", np.full((32, 32), 7)), True),
    "another size": (lambda f: save(f / "labels/0.png", np.zeros((8, 8))), True),
    "a broken picture": (lambda f: (f / "images/0.png").write_bytes(b"no picture"), True),
    "an empty field of view": (lambda f: save(f / "fov/0.png", np.zeros((32, 32))), True),
    "a split that fits": (lambda f: split(f, ["0", "1"], ["2", "3"]), False),
    "a split that lacks cases": (lambda f: split(f, ["0", "1"], ["2"]), True),
    "a split of other cases": (lambda f: split(f, ["0", "1", "x"], ["2", "3"]), True),
    "a split of one side": (lambda f: [empty(f, 2), split(f, ["0", "1"], ["2", "3"])][1], True),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_check_and_a_training_refuse_the_same(folder, tmp_path, monkeypatch, name):
    def begin(*arguments, **more):
        raise Begun

    spoil, refused = SPOILED[name]
    given = spoil(folder)
    given = given if isinstance(given, Path) else None
    recipe = read_recipe("structure-2d", SETTINGS)
    try:
        errors = check_data(folder, recipe, given).errors
    except GracileError as error:
        errors = [error]
    assert bool(errors) == refused, errors
    monkeypatch.setattr("gracile.learning.run.fit_stage", begin)
    with pytest.raises(GracileError if refused else Begun):
        train(recipe, folder, tmp_path / "run", split=given)
