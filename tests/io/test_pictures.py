"""A sidecar gives a picture its pixel size."""

import json

import numpy as np
import pytest

from gracile.errors import DataError
from gracile.io import read_picture, write_png
from gracile.io.pictures import read_sidecar


@pytest.fixture
def path(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    return tmp_path / "a.png"


def test_the_sidecar_gives_row_and_column_distance(path):
    assert read_picture(path, "a").grid.spacing_mm is None
    path.with_suffix(".json").write_text(json.dumps({"pixel_spacing_mm": [0.1, 0.2], "machine": "x"}))
    case = read_picture(path, "a")
    assert case.grid.spacing_mm == (0.1, 0.2)
    assert case.grid.shape == (4, 6)


@pytest.mark.parametrize("content", ['{"shapes": []}', "[1, 2]", "no json", '{"text": "pixel_spacing_mm"}'])
def test_a_json_of_another_program_is_passed_over(path, content):
    path.with_suffix(".json").write_text(content)
    assert read_sidecar(path) is None


@pytest.mark.parametrize("value", ["0.1", "[0.1]", "[0, 0.1]", "[-1, 1]", '["a", 1]', "[true, 1]", "[NaN, 1]", "{"])
def test_a_pixel_size_that_is_none_is_refused(path, value):
    path.with_suffix(".json").write_text(f'{{"pixel_spacing_mm": {value}}}')
    with pytest.raises(DataError, match=r"a\.json"):
        read_picture(path, "a")
