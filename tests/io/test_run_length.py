"""Run lengths are numbered as Kaggle numbers them, and come back as they went."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from gracile.errors import DataError
from gracile.io.run_length import decode, encode, read_csv, write_csv


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_a_mask_comes_back(mask):
    assert (decode(encode(mask), mask.shape) == mask).all()


def test_pixels_are_numbered_from_one_top_to_bottom_then_left_to_right():
    mask = np.zeros((3, 4), bool)
    mask[2, 0] = mask[0, 1] = mask[1, 3] = True
    assert encode(mask) == "3 2 11 1"  # a run goes on from the foot of a column to the head of the next
    assert encode(np.zeros((3, 4), bool)) == ""
    assert encode(np.ones((3, 4), bool)) == "1 12"
    assert not decode("", (3, 4)).any()


@pytest.mark.parametrize(
    "code", ["1", "1 2 3", "a b", "1 -2", "0 2", "1 0", "5 2 1 2", "1 3 3 2", "12 2", "1.0 2", "² 1"]
)
def test_what_is_no_code_is_refused(code):
    with pytest.raises(DataError):
        decode(code, (3, 4))


@given(st.dictionaries(st.from_regex(r"[0-9a-zA-Z_]{1,8}", fullmatch=True), st.sampled_from(["", "1 2", "3 1 7 2"])))
def test_a_table_comes_back(tmp_path_factory, codes):
    path = tmp_path_factory.mktemp("rle") / "a.csv"
    write_csv(path, codes)
    assert path.read_text().splitlines()[0] == "img,pixels"
    assert read_csv(path) == codes


@pytest.mark.real
def test_a_real_label_has_the_code_that_the_competition_gives_it(real_data):
    path = real_data / "nerve-ultrasound" / "uns-original-sample" / "masks" / "1_1.png"
    if not path.is_file():
        pytest.skip(f"GRACILE_DATA has no {path.name}")
    code = encode(np.array(Image.open(path)) > 0)
    assert code.startswith("168153 9 168570 15 168984 22 169401 26 ")  # first line of its train_masks.csv


def test_the_competitions_table_of_labels_is_read(tmp_path):
    path = tmp_path / "train_masks.csv"
    path.write_text("subject,img,pixels\n1,1,168153 9 168570 15\n1,2,\n")
    assert read_csv(path) == {"1_1": "168153 9 168570 15", "1_2": ""}


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "img,pixels\n1,\n1,\n", "img,pixels\n../x,1 2\n", "img,pixels\n,1 2\n", ""]
)
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.csv"):
        read_csv(path)


def test_the_code_of_a_large_picture_is_read_back(tmp_path):
    limit = csv.field_size_limit()
    mask = np.indices((500, 600)).sum(axis=0) % 2 > 0
    write_csv(tmp_path / "codes.csv", {"large": encode(mask)})
    code = read_csv(tmp_path / "codes.csv")["large"]
    assert len(code) > limit
    np.testing.assert_array_equal(decode(code, (500, 600)), mask)
    assert csv.field_size_limit() == limit
