"""What is damaged in the folder of a run is told with what to do, or made anew where it decides nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gracile.api.experiments.few_shot import begun
from gracile.data import find_cases
from gracile.data.splits import read_split
from gracile.errors import GracileError, UsageError
from gracile.io import write_json
from gracile.learning.fit import earlier_rows
from gracile.learning.record import read_run_recipe, recorded_transfers, require_same_data
from gracile.learning.sampling import prepared_case
from gracile.learning.tune import require_same_study
from gracile.recipe import Recipe

DAMAGED = [
    b"",
    b"{",
    b"null",
    b"[1, 2]",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"rows": 3, "files": 4, "packages": {}}',
]
READERS: dict[str, Callable[[Path], Any]] = {
    "data.json": lambda out: require_same_data([], Recipe.model_construct(), out / "data.json"),
    "environment.json": recorded_transfers,
    "split.json": lambda out: read_split(out / "split.json"),
    "study.json": lambda out: require_same_study(out, {"data": "x"}),
    "few_shot.json": lambda out: begun(out, {}),
    "recipe.yaml": read_run_recipe,
}


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_record_is_told_with_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GracileError) as caught:
        READERS[name](tmp_path)
    assert str(tmp_path) in str(caught.value) or name == "recipe.yaml"
    assert caught.value.remedy
    assert "Error" not in str(caught.value)


def test_another_study_is_told_by_what_differs(tmp_path: Path) -> None:
    write_json(tmp_path / "study.json", {"data": "y", "recipe": 1})
    with pytest.raises(UsageError, match="another data"):
        require_same_study(tmp_path, {"data": "x", "recipe": 1})
    require_same_study(tmp_path, {"data": "y", "recipe": 1})


def test_rows_of_metrics_that_are_damaged_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    table.write_bytes(b"epoch,loss\n0,0.5\nx\xff,1\n1,\0 0.4\n" + b"9" * 5000 + b",1\n2,0.3\n3,0.2\n")
    assert [row["epoch"] for row in earlier_rows(table, 3)] == ["0", "1", "2"]
    table.write_bytes(b"epoch,loss\n0," + b"x" * 200_000 + b"\n")
    assert earlier_rows(table, 3) == []


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"\x93NUMPY\x01\x00\x76\x00{'descr': ["])
def test_a_damaged_prepared_case_is_prepared_anew(
    fundus_folder: Path, tiny_recipe: Recipe, tmp_path: Path, content: bytes
) -> None:
    case = find_cases(fundus_folder, tiny_recipe)[0]
    before = np.array(prepared_case(case, tiny_recipe, tmp_path).image)
    path = tmp_path / case.id / "image.npy"
    for damaged in (content, path.read_bytes()[:-100]):
        path.write_bytes(damaged)
        assert np.array_equal(np.array(prepared_case(case, tiny_recipe, tmp_path).image), before)
