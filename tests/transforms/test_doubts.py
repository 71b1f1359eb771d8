"""Doubts add up by their weights, and say what is loudest."""

from pathlib import Path

import pytest

from gracile.errors import BundleError
from gracile.transforms import fundus
from gracile.transforms.doubts import MOST, Doubt, Doubts
from gracile.trust import grades

DARK = Doubt("level", "low", begins=4.0, spread=0.5, weight=2.0, words="dark")
BRIGHT = Doubt("level", "high", begins=5.0, spread=0.5, weight=1.0, words="overexposed")
BLURRED = Doubt("sharpness", "low", begins=1.0, spread=0.1, weight=0.5, words="blurred")
ALL = Doubts((DARK, BRIGHT, BLURRED), {"usable": 1.0, "reject": 3.0})


def test_what_is_usual_adds_nothing_and_a_figure_that_is_not_told_neither():
    assert ALL.total({"level": 4.5, "sharpness": 1.2}) == 0
    assert ALL.words({"level": 4.5, "sharpness": 1.2}, most=2) == []
    assert ALL.total({}) == 0


def test_a_doubt_grows_with_the_distance_and_speaks_no_louder_than_its_most():
    assert ALL.total({"level": 3.5}) == pytest.approx(2.0)
    assert ALL.total({"level": 3.0, "sharpness": 0.9}) == pytest.approx(4.5)
    assert ALL.total({"level": -100.0}) == pytest.approx(2.0 * MOST)
    assert ALL.total({"level": 5.5}) == pytest.approx(1.0)


def test_the_loudest_word_comes_first_and_faint_ones_are_left_out():
    assert ALL.words({"level": 3.5, "sharpness": 0.6}, most=2) == ["dark", "blurred"]
    assert ALL.words({"level": 3.5, "sharpness": 0.6}, most=1) == ["dark"]
    assert ALL.words({"level": 2.0, "sharpness": 0.95}, most=2) == ["dark"]


def test_a_table_is_read_as_it_was_written(tmp_path: Path):
    import yaml

    path = tmp_path / "table.yaml"
    path.write_text(yaml.safe_dump(ALL.as_table()))
    assert Doubts.read(path) == ALL


@pytest.mark.parametrize("content", ["[]", "limits: {a: 1}", "doubts: [{figure: level}]\nlimits: {}", "x: ["])
def test_another_file_is_no_table(content: str, tmp_path: Path):
    path = tmp_path / "table.yaml"
    path.write_text(content)
    with pytest.raises(BundleError):
        Doubts.read(path)


@pytest.mark.parametrize(("path", "limits"), [(fundus.TABLE, ["other"]), (grades.TABLE, ["usable", "reject"])])
def test_the_tables_that_come_with_gracile_are_in_order(path: Path, limits: list[str]):
    doubts = Doubts.read(path)
    assert list(doubts.limits) == limits
    assert sorted(doubts.limits.values()) == list(doubts.limits.values())
    assert all(doubt.weight > 0 and doubt.spread > 0 and doubt.words for doubt in doubts.doubts)
