"""Several files are one case: told by their names, and read onto the first one's grid."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from gracile.errors import DataError
from gracile.io import read_case_file
from gracile.io.channels import by_case
from tests.two_channels import AFFINE, draw, recipe_of, write_image

VOLUMES, PICTURES = recipe_of("volume").input, recipe_of("image").input


def names(folder: Path, wanted) -> dict[str, list[str]]:
    return {one.name: [path.name for path in one.paths] for one in by_case(sorted(folder.iterdir()), wanted)}


def test_files_of_a_case_meet_by_their_numbers_and_a_missing_one_has_its_place(tmp_path):
    for name in ("a_0000.nii.gz", "a_0001.nii.gz", "b_0001.nii.gz", "c_0000.nii.gz", "d.nii.gz", "e_0002.nii.gz"):
        (tmp_path / name).touch()
    assert names(tmp_path, VOLUMES) == {
        "a": ["a_0000.nii.gz", "a_0001.nii.gz"],
        "b": ["b_0000.nii.gz", "b_0001.nii.gz"],
        "c": ["c_0000.nii.gz", "c_0001.nii.gz"],
        "d": ["d.nii.gz"],
        "e": ["e_0000.nii.gz", "e_0001.nii.gz", "e_0002.nii.gz"],
    }


def test_a_recipe_of_one_channel_or_of_a_fourth_axis_joins_nothing(tmp_path):
    for name in ("a_0000.nii.gz", "a_0001.nii.gz"):
        (tmp_path / name).touch()
    one = recipe_of("volume", "input.channels=1", "input.channel_names=[]").input
    for wanted in (one, recipe_of("volume", "input.fourth_axis=channels").input):
        assert list(names(tmp_path, wanted)) == ["a_0000", "a_0001"]


def test_numbered_pictures_that_hold_all_channels_are_frames(tmp_path):
    for number in range(3):
        frame = np.zeros((8, 9, 2), np.uint8)
        tifffile.imwrite(tmp_path / f"film_{number:04d}.tif", frame, photometric="minisblack", planarconfig="contig")
    assert list(names(tmp_path, PICTURES)) == ["film_0000", "film_0001", "film_0002"]


@pytest.mark.parametrize("kind", ["volume", "image"])
def test_channels_come_in_the_order_they_are_given_and_the_shown_one_is_known(tmp_path, kind):
    ending = ".nii.gz" if kind == "volume" else ".png"
    t1, t2, _ = draw(kind, 0)
    paths = [write_image(tmp_path / f"{name}{ending}", values) for name, values in (("t1", t1), ("t2", t2))]
    case = read_case_file(paths[0], "a", recipe_of(kind, "input.shown=t2").input, channels=paths[1:])
    for channel, values in zip(case.image, (t1, t2), strict=True):
        np.testing.assert_allclose(channel, values if kind == "volume" else values.astype(np.uint8), rtol=1e-6)
    assert (case.channel_names, case.shown) == (("t1", "t2"), 1)
    np.testing.assert_array_equal(case.looked_at[0], case.image[1])


@pytest.mark.parametrize("kind", ["volume", "image"])
def test_a_missing_channel_and_one_too_many_are_named_with_the_case(tmp_path, kind):
    ending = ".nii.gz" if kind == "volume" else ".png"
    paths = [write_image(tmp_path / f"p7_{number:04d}{ending}", draw(kind, 0)[0]) for number in range(3)]
    wanted = recipe_of(kind).input
    for channels in ((), (tmp_path / f"p7_0009{ending}",)):
        with pytest.raises(DataError, match=r"case p7 lacks channel 2 \(t2\)"):
            read_case_file(paths[0], "p7", wanted, channels=channels)
    with pytest.raises(
        DataError, match=r"case p7 has 3 channels, and the recipe takes 2 \(t1, t2\).*p7_0002.*too many"
    ):
        read_case_file(paths[0], "p7", wanted, channels=paths[1:])


def test_another_grid_is_brought_to_the_first_ones_with_a_note_and_what_lies_outside_is_flagged(tmp_path):
    t1, t2, _ = draw("volume", 0)
    first = write_image(tmp_path / "t1.nii.gz", t1)
    finer = AFFINE.copy()
    finer[:3, 2] /= 2
    twice = np.repeat(t2, 2, axis=2)
    finer[2, 3] -= 0.375
    second = write_image(tmp_path / "t2.nii.gz", twice, finer)
    case = read_case_file(first, "a", VOLUMES, channels=[second])
    assert case.image.shape == (2, *t1.shape)
    np.testing.assert_allclose(case.image[1][..., 1:-1].mean(), t2[..., 1:-1].mean(), rtol=0.01)
    assert "channel 2 (t2) was brought onto the grid of channel 1" in case.notes
    assert not case.flags
    shifted = AFFINE.copy()
    shifted[0, 3] += 8  # half of its 16 voxels
    case = read_case_file(first, "a", VOLUMES, channels=[write_image(tmp_path / "t2.nii.gz", t2, shifted)])
    assert "50% of the volume lie outside of channel 2 (t2): set to 0 there" in case.flags
    assert (case.image[1][:8] == 0).all()
    np.testing.assert_allclose(case.image[1][8:], t2[:8], rtol=1e-5)


def test_volumes_of_two_patients_are_refused(tmp_path):
    t1, t2, _ = draw("volume", 0)
    far = AFFINE.copy()
    far[2, 3] += 500
    first, second = write_image(tmp_path / "t1.nii.gz", t1), write_image(tmp_path / "t2.nii.gz", t2, far)
    with pytest.raises(DataError, match=r"t2.nii.gz \(channel 2 \(t2\)\) does not overlap with .*t1.nii.gz"):
        read_case_file(first, "a", VOLUMES, channels=[second])


def test_pictures_of_two_sizes_are_refused_with_both(tmp_path):
    first, second = (write_image(tmp_path / f"{n}.png", np.zeros((30, n))) for n in (40, 50))
    with pytest.raises(DataError, match=r"50 x 30 pixels.* 40 x 30"):
        read_case_file(first, "a", PICTURES, channels=[second])


def test_a_gray_channel_saved_in_colors_is_gray_and_a_colored_one_refused(tmp_path):
    gray = write_image(tmp_path / "a.png", np.full((30, 40), 9.0))
    Image.open(gray).convert("RGB").save(tmp_path / "b.png")
    case = read_case_file(gray, "a", PICTURES, channels=[tmp_path / "b.png"])
    assert case.image.shape == (2, 30, 40)
    Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"to be channel 2 \(t2\), and holds 3"):
        read_case_file(gray, "a", PICTURES, channels=[tmp_path / "b.png"])


@pytest.mark.parametrize("count", [2, 4, 5])
@pytest.mark.parametrize("layout", ["samples", "planes", "pages"])
def test_a_tiff_holds_any_number_of_channels_as_samples_or_pages(tmp_path, count, layout):
    values = np.random.default_rng(0).integers(0, 256, (count, 20, 30)).astype(np.uint8)
    if layout == "samples":
        tifffile.imwrite(
            tmp_path / "a.tif", np.moveaxis(values, 0, -1), photometric="minisblack", planarconfig="contig"
        )
    elif layout == "planes":
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="separate")
    else:
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", metadata={"axes": "CYX"})
    wanted = recipe_of("image", channels=count, names=()).input
    np.testing.assert_array_equal(read_case_file(tmp_path / "a.tif", "a", wanted).image, values)


def test_channels_of_a_16_bit_tiff_are_scaled_each_by_itself(tmp_path):
    values = np.stack([np.full((8, 9), 4000), np.full((8, 9), 60000)]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="separate")
    case = read_case_file(tmp_path / "a.tif", "a", PICTURES)
    assert case.image[:, 0, 0].tolist() == [round(4000 / 4095 * 255), round(60000 / 65535 * 255)]


def test_transparency_is_a_channel_only_where_four_are_asked_for(tmp_path):
    Image.new("RGBA", (9, 8), (10, 20, 30, 0)).save(tmp_path / "a.png")
    four = read_case_file(tmp_path / "a.png", "a", recipe_of("image", channels=4, names=()).input)
    assert four.image[:, 0, 0].tolist() == [10, 20, 30, 0]
    assert read_case_file(tmp_path / "a.png", "a").image[:, 0, 0].tolist() == [0, 0, 0]


def test_volumes_along_a_fourth_axis_are_channels_where_the_recipe_says_so(tmp_path):
    t1, t2, _ = draw("volume", 0)
    path = write_image(tmp_path / "a.nii.gz", np.stack([t1, t2], axis=-1))
    with pytest.raises(DataError, match="4D: 2 volumes") as caught:
        read_case_file(path, "a", VOLUMES)
    assert "input.fourth_axis to channels" in caught.value.remedy
    wanted = recipe_of("volume", "input.fourth_axis=channels").input
    case = read_case_file(path, "a", wanted)
    np.testing.assert_allclose(case.image, np.stack([t1, t2]), rtol=1e-6)
    three = write_image(tmp_path / "b.nii.gz", np.stack([t1, t2, t2], axis=-1))
    with pytest.raises(DataError, match="case b has 3 channels, and the recipe takes 2"):
        read_case_file(three, "b", wanted)
    with pytest.raises(DataError, match=r"case c lacks channel 2 \(t2\)"):
        read_case_file(write_image(tmp_path / "c.nii.gz", t1), "c", wanted)


def test_an_old_recipe_of_three_channels_still_takes_a_gray_volume(tmp_path):
    from gracile.transforms import prepare

    path = write_image(tmp_path / "a.nii.gz", draw("volume", 0)[0])
    recipe = recipe_of("volume", channels=3, names=())
    prepared, _ = prepare(read_case_file(path, "a", recipe.input), recipe)
    assert np.asarray(prepared.image).shape[0] == 3
