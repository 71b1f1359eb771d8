"""Two cases of one person under two names are found, and alike anatomies of two people are not taken for that."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gracile.case import Case
from gracile.data import CaseFiles, check_cases, near_duplicates
from gracile.data.near_duplicates import alike_pairs, thumbnail
from gracile.recipe import read_recipe
from tests.data.test_volume_layouts import volume_recipe
from tests.volumes_on_disk import write_nifti

PICTURES = read_recipe("structure-2d")


def scene(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """What all of a set share, and what is one person's own; from 0 to 1."""
    common = ndimage.gaussian_filter(np.random.default_rng(99).normal(size=shape), 6)
    own = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    mixed = common / common.std() + own / own.std()
    return (mixed - mixed.min()) / np.ptp(mixed)


def picture_cases(folder: Path, pictures: dict[str, np.ndarray]) -> list[CaseFiles]:
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, values in pictures.items():
        path, label = folder / f"{name}.png", folder / f"{name}_label.png"
        Image.fromarray((255 * values.clip(0, 1)).astype(np.uint8)).save(path)
        Image.fromarray((values > 0.7).astype(np.uint8)).save(label)
        cases.append(CaseFiles(name, path, label, None, name))
    return cases


def pairs(found) -> set[tuple[str, str]]:
    return {(pair.first.id, pair.second.id) for pair in found}


def test_a_picture_saved_anew_is_found_and_others_of_the_kind_are_not(tmp_path):
    random = np.random.default_rng(0)
    pictures = {f"p{seed}": scene(seed, (90, 110)) for seed in range(8)}
    pictures["noisy"] = pictures["p0"] + random.normal(0, 0.05, (90, 110))
    pictures["bright"] = pictures["p1"] ** 0.6
    pictures["small"] = ndimage.zoom(pictures["p2"], 0.5, order=1)
    pictures["shifted"] = np.roll(pictures["p3"], (2, 3), (0, 1))
    found = near_duplicates(picture_cases(tmp_path, pictures), PICTURES)
    assert pairs(found) == {("p0", "noisy"), ("p1", "bright"), ("p2", "small"), ("p3", "shifted")}
    assert all(pair.parts_subjects for pair in found)


def test_the_frame_around_a_picture_makes_nobody_alike(tmp_path):
    disk = np.hypot(*np.indices((90, 90)) - 45) < 40
    found = near_duplicates(
        picture_cases(tmp_path, {f"p{seed}": disk * (0.3 + 0.7 * scene(seed, (90, 90))) for seed in range(3)}), PICTURES
    )
    assert found == []


def test_a_person_scanned_twice_is_found_among_volumes(tmp_path):
    recipe, cases = volume_recipe(), []
    volumes = {f"p{seed}": scene(seed, (30, 34, 28)) for seed in range(5)}
    volumes["again"] = 900 * np.roll(volumes["p4"], 1, axis=0) + np.random.default_rng(0).normal(0, 30, (30, 34, 28))
    for name, values in volumes.items():
        path = write_nifti(tmp_path / f"{name}.nii.gz", (1000 * values).astype(np.float32), np.eye(4))
        cases.append(CaseFiles(name, Path(path or tmp_path / f"{name}.nii.gz"), None, None, name))
    (pair,) = near_duplicates(cases, recipe)
    assert (pair.first.id, pair.second.id) == ("p4", "again")


def test_frames_of_one_subject_do_not_hide_those_of_two():
    frames = [scene(0, (64, 64)) + 0.01 * scene(seed, (64, 64)) for seed in range(1, 31)]
    cases = [CaseFiles(str(n), Path(f"{n}.png"), None, None, "a") for n in range(30)]
    cases[17] = replace(cases[17], subject="b")
    thumbnails = {
        case.id: thumbnail(Case.from_array((255 * frame / 1.01).astype(np.uint8)))
        for case, frame in zip(cases, frames, strict=True)
    }
    found = alike_pairs(cases, thumbnails)
    assert any(pair.parts_subjects for pair in found)
    assert len(found) <= 20 * len(cases)


def test_nothing_is_alike_in_empty_unreadable_and_single_cases(tmp_path):
    flat = picture_cases(tmp_path, {"a": np.zeros((40, 40)), "b": np.zeros((40, 40)), "c": np.ones((3, 1))})
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert (
        near_duplicates(flat, PICTURES) == near_duplicates(flat[1:2], PICTURES) == near_duplicates([], PICTURES) == []
    )


@pytest.mark.parametrize("subject", ["p1", "p0"])
def test_the_check_of_data_names_both_and_says_nothing_of_one_subjects_own(tmp_path, subject):
    pictures = {f"p{seed}": scene(seed, (60, 60)) for seed in range(4)}
    pictures["again"] = pictures["p0"] * 0.9
    cases = picture_cases(tmp_path, pictures)
    cases[-1] = replace(cases[-1], subject=subject)
    told = [p for p in check_cases(cases, PICTURES).problems if "nearly the same" in p.message]
    if subject == "p0":
        assert told == []
    else:
        assert [(p.severity, Path(p.file).name) for p in told] == [("warning", "p0.png")]
        assert "again.png" in told[0].message
