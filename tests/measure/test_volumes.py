"""Volume, islands, place, extent and brightness of structures, whichever way a volume's axes run."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gracile.case import Case
from gracile.errors import GeometryError
from gracile.geometry import Grid
from gracile.measure import measure
from gracile.measure.volumes import volume_measurements
from gracile.recipe import read_recipe
from gracile.result import Result
from tests.geometry.volumes import ORIENTATIONS, oriented

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 1.5, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])
STRUCTURES = {"liver": (1,), "both": (1, 2), "absent": (3,)}


def volume():
    mask = np.zeros((12, 14, 9), np.uint8)
    mask[2:6, 3:5, 1:4] = 1
    mask[8, 9, 6] = 2
    mask[9, 10, 7] = 2  # touches the other at a corner
    image = np.arange(mask.size, dtype=np.float32).reshape(1, *mask.shape)
    return mask, image


def measured(mask, affine, image, **more):
    found = volume_measurements(mask, Grid(mask.shape, affine), STRUCTURES, image, **more)
    return {(m.structure, m.name): m.value for m in found}


def test_figures_of_a_box():
    mask, image = volume()
    values = measured(mask, AFFINE, image)
    assert values["liver", "volume"] == pytest.approx(24 * 12 / 1000)
    assert values["liver", "islands"] == 1
    center = AFFINE[:3, :3] @ (3.5, 3.5, 2) + AFFINE[:3, 3]
    assert [values["liver", f"centroid_{axis}"] for axis in "ras"] == pytest.approx(center)
    assert [values["liver", f"extent_{axis}"] for axis in "ras"] == pytest.approx([8, 3, 12])
    assert values["liver", "intensity_mean"] == pytest.approx(image[0][mask == 1].mean())
    assert values["both", "volume"] == pytest.approx(26 * 12 / 1000)
    assert (values["absent", "volume"], values["absent", "islands"]) == (0, 0)
    assert values["absent", "centroid_r"] is values["absent", "extent_s"] is values["absent", "intensity_mean"] is None


def test_each_channel_has_a_mean_of_its_own():
    mask, image = volume()
    values = measured(mask, AFFINE, np.concatenate([image, 2 * image, -image]))
    mean = image[0][mask == 1].mean()
    means = {name: value for (structure, name), value in values.items() if structure == "liver" and "mean" in name}
    assert means == {f"intensity_mean_{number}": pytest.approx(n * mean) for number, n in ((1, 1), (2, 2), (3, -1))}
    assert all(values["absent", name] is None for name in means)


def test_islands_by_the_stated_neighbors():
    mask, image = volume()
    assert measured(mask, AFFINE, image)["both", "islands"] == 2
    assert measured(mask, AFFINE, image, connectivity=18)["both", "islands"] == 3


@pytest.mark.parametrize("code", ORIENTATIONS[::7])
def test_the_order_of_the_axes_changes_nothing(code):
    mask, image = volume()
    turned, affine = oriented(mask, AFFINE, code)
    other = measured(turned, affine, oriented(image[0], AFFINE, code)[0][None])
    upright = measured(mask, AFFINE, image)
    assert {key: pytest.approx(value) for key, value in upright.items()} == other


def test_an_oblique_grid_keeps_size_and_moves_the_rest_with_the_patient():
    mask, image = volume()
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [20, -35, 10], degrees=True).as_matrix()
    upright, oblique = measured(mask, AFFINE, image), measured(mask, turn @ AFFINE, image)
    assert oblique["liver", "volume"] == pytest.approx(upright["liver", "volume"])
    center = turn[:3, :3] @ [upright["liver", f"centroid_{axis}"] for axis in "ras"]
    assert [oblique["liver", f"centroid_{axis}"] for axis in "ras"] == pytest.approx(center)
    corners = np.stack(np.meshgrid([1.5, 5.5], [2.5, 4.5], [0.5, 3.5], indexing="ij"), axis=-1).reshape(-1, 3)
    extent = np.ptp(corners @ (turn @ AFFINE)[:3, :3].T, axis=0)
    assert [oblique["liver", f"extent_{axis}"] for axis in "ras"] == pytest.approx(extent)


def test_a_recipe_of_volumes_names_it():
    recipe = read_recipe("spinal-cord", ["measure=[{name: volumes, options: {connectivity: 6}}]"])
    mask, image = volume()
    grid = Grid(mask.shape, AFFINE)
    result = Result("a", "found", grid, recipe.class_names, mask=(mask > 0).astype(np.uint8))
    measure(Case("a", image, grid), result, recipe, {})
    islands = next(m for m in result.measurements if m.name == "islands")
    assert (islands.value, islands.note, islands.structure) == (3, "6 neighbors", "cord")


def test_a_volume_without_a_place_is_refused():
    mask, image = volume()
    with pytest.raises(GeometryError, match="place"):
        volume_measurements(mask, Grid(mask.shape), STRUCTURES, image)
