"""Trees of vessels hold together: what goes straight on is one vessel, gaps close, specks go, crossings stay."""

import numpy as np
import pytest

from gracile.errors import RecipeError
from gracile.evaluation.topology import betti_numbers, wrong_tree
from gracile.recipe import read_recipe
from gracile.stages.trees import cut, hold_together

TREES = [(1, 3), (2, 3)]


def crossing() -> np.ndarray:
    """An artery from left to right, a vein from top to bottom, and where they cross both."""
    truth = np.zeros((200, 200), np.uint8)
    truth[98:103, 10:190] = 1
    truth[10:190, 98:103] = 2
    truth[98:103, 98:103] = 3
    return truth


def maps_of(mask: np.ndarray, sure: float = 0.9) -> np.ndarray:
    maps = np.full((4, *mask.shape), (1 - sure) / 3, np.float32)
    for index in range(4):
        maps[index][mask == index] = sure
    return maps


def test_what_is_right_stays_as_it_is():
    mask = crossing()
    assert hold_together(mask, maps_of(mask), TREES) == []
    np.testing.assert_array_equal(mask, crossing())


def test_a_stretch_that_is_unsure_becomes_what_goes_straight_on_at_both_of_its_ends():
    found = crossing()
    found[98:103, 130:160] = 2
    maps = maps_of(found)
    maps[1][98:103, 130:160], maps[2][98:103, 130:160] = 0.4, 0.5
    hold_together(found, maps, TREES)
    assert (found[98:103, 130:160] == 1).mean() > 0.95
    assert wrong_tree(crossing(), found, (1, 2)) == (pytest.approx(0, abs=0.02), 0)


def test_the_order_of_a_tree_s_classes_means_nothing():
    one, other = crossing(), crossing()
    one[98:103, 98:103] = other[98:103, 98:103] = 2
    hold_together(one, maps_of(one), TREES)
    hold_together(other, maps_of(other), [(3, 1), (3, 2)])
    np.testing.assert_array_equal(one, other)


def test_a_stretch_that_is_sure_stays():
    found = crossing()
    found[98:103, 110:185] = 2
    hold_together(found, maps_of(found, 0.99), TREES)
    assert (found[98:103, 112:183] == 2).all()


def test_a_gap_whose_ends_agree_is_closed_where_the_maps_see_a_little():
    found = crossing()
    found[98:103, 40:45] = 0
    maps = maps_of(found)
    for seen, closed in ((0.02, False), (0.3, True)):
        maps[0][98:103, 40:45], maps[1][98:103, 40:45] = 1 - seen, seen
        maps[2:, 98:103, 40:45] = 0
        mask = found.copy()
        hold_together(mask, maps, TREES)
        assert (mask[100, 40:45] == 1).all() == closed


def test_an_artery_that_a_vein_cuts_goes_on_across_it():
    found = crossing()
    found[98:103, 98:103] = 2
    assert betti_numbers(np.isin(found, TREES[0])) == (2, 0)
    hold_together(found, maps_of(found), TREES)
    assert betti_numbers(np.isin(found, TREES[0])) == (1, 0)
    assert found[100, 100] == 3


def test_specks_go_where_the_maps_are_unsure_and_take_the_tree_that_is_around_them():
    found = crossing()
    found[20:22, 20], found[98, 60] = 1, 2
    maps = maps_of(found)
    maps[0][20:22, 20] = 0.5
    hold_together(found, maps, TREES)
    assert not found[18:24, 18:24].any()
    assert found[98, 60] == 1


def test_a_single_tree_is_mended_too():
    found = (crossing() == 1).astype(np.uint8)
    seen = np.maximum(0.9 * found, 0.2 * (crossing() == 3))
    maps = np.stack([1.0 - seen, seen])
    hold_together(found, maps, [(1,)])
    assert betti_numbers(found > 0) == (1, 0)


def test_nothing_found_is_nothing_to_hold_together():
    mask = np.zeros((30, 40), np.uint8)
    assert hold_together(mask, maps_of(mask), TREES) == []
    assert not mask.any()


def test_large_pictures_are_looked_at_in_steps():
    found = crossing().repeat(10, axis=0).repeat(10, axis=1)
    found[980:1030, 400:440] = 0
    maps = maps_of(found)
    maps[0][980:1030, 400:440] = 0.6
    hold_together(found, maps, TREES)
    assert (found[1000, 400:440] == 1).all()


def test_the_cut_is_the_least_energy_of_all():
    random = np.random.default_rng(0)
    for _ in range(20):
        said = random.normal(size=7)
        ties = {
            (i, j): float(random.uniform(0, 1.5)) for i in range(7) for j in range(i + 1, 7) if random.random() < 0.4
        }

        def energy(labels, said=said, ties=ties):
            words = np.abs(said[(said > 0) != labels]).sum()
            return words + sum(weight for (i, j), weight in ties.items() if labels[i] != labels[j])

        every = [np.array([number >> bit & 1 for bit in range(7)], bool) for number in range(128)]
        assert energy(cut(said, ties)) == pytest.approx(min(map(energy, every)), abs=0.2)


def test_it_is_for_pictures_alone_and_off_by_one_setting():
    with pytest.raises(RecipeError, match="hold_together is for pictures"):
        read_recipe("spinal-cord", ["stages.cord.decision.hold_together=true"])
    assert (
        not read_recipe("retina-av", ["stages.vessels.decision.hold_together=false"]).stages[0].decision.hold_together
    )


def test_regions_are_no_trees():
    classes = "classes=[{name: none, color: [0, 0, 0]}, {name: a, color: [9, 0, 0]}, {name: b, color: [0, 9, 0]}]"
    regions = "regions={whole: [a, b], inner: [b]}"
    with pytest.raises(RecipeError, match="the recipe has regions"):
        read_recipe("structure-2d", [classes, regions, "stages.segment.decision.hold_together=true"])
