"""A fingerprint tells data apart by content, not by place or order."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gracile.data import CaseFiles, fingerprint
from gracile.errors import DataError


@pytest.fixture
def cases(tmp_path):
    found = []
    for number, id in enumerate("abc"):
        for role in ("image", "label", "region"):
            array = np.full((4, 6 + number % 2), number + 10 * len(role), np.uint8)
            Image.fromarray(array).save(tmp_path / f"{id}_{role}.png")
        paths = [tmp_path / f"{id}_{role}.png" for role in ("image", "label", "region")]
        found.append(CaseFiles(id, *paths, subject=f"s{number // 2}"))
    return found


def test_it_counts_and_lists_what_there_is(cases):
    mark = fingerprint([*cases[:2], replace(cases[2], label=None)])
    assert (mark["cases"], mark["subjects"], mark["labeled"], mark["with_region"]) == (3, 2, 2, 3)
    assert mark["ids"] == ["a", "b", "c"]
    assert mark["sizes"] == {"6 x 4": 2, "7 x 4": 1}
    assert json.loads(json.dumps(mark)) == mark


def test_order_and_place_do_not_matter(cases, tmp_path):
    there = tmp_path / "elsewhere"
    there.mkdir()
    moved = []
    for case in cases[::-1]:
        paths = [shutil.copy(path, there) for path in (case.image, case.label, case.region)]
        moved.append(CaseFiles(case.id, *(there / path.rsplit("/")[-1] for path in map(str, paths)), case.subject))
    assert fingerprint(moved) == fingerprint(cases)


@pytest.mark.parametrize("role", ["image", "label", "region"])
def test_one_changed_pixel_in_any_file_changes_its_case_and_the_whole(cases, role):
    before = fingerprint(cases)
    path = getattr(cases[1], role)
    array = np.array(Image.open(path))
    array[0, 0] += 1
    Image.fromarray(array).save(path)
    after = fingerprint(cases)
    assert after["sha256"] != before["sha256"]
    assert {id for id in "abc" if after["files"][id] != before["files"][id]} == {"b"}


@pytest.mark.parametrize("change", [{"label": None}, {"region": None}, {"id": "z"}, {"subject": "z"}])
def test_a_missing_file_another_name_or_subject_changes_it(cases, change):
    assert fingerprint([*cases[:2], replace(cases[2], **change)])["sha256"] != fingerprint(cases)["sha256"]


def test_a_name_that_is_no_unicode_is_counted_like_others(cases):
    first, *rest = cases
    assert fingerprint([replace(first, id="lat\udcfcn"), *rest])["sha256"] != fingerprint(cases)["sha256"]


def test_swapped_label_and_region_change_it(cases):
    swapped = replace(cases[0], label=cases[0].region, region=cases[0].label)
    assert fingerprint([swapped, *cases[1:]])["sha256"] != fingerprint(cases)["sha256"]


def test_an_unreadable_image_is_named(cases):
    cases[0].image.write_bytes(b"")
    with pytest.raises(DataError, match=r"a_image\.png"):
        fingerprint(cases)
