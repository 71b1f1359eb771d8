"""Rows come back from CSV."""

import pytest

from gracile.errors import DataError
from gracile.io.tables import read_table, write_table


def test_rows_come_back(tmp_path):
    rows = [{"slice": 3, "level": "C2", "area": 61.25}, {"slice": 4, "level": None, "area": None, "more": 1}]
    write_table(tmp_path / "a.csv", rows)
    assert (tmp_path / "a.csv").read_text().splitlines() == ["slice,level,area,more", "3,C2,61.2500,", "4,,,1"]
    assert read_table(tmp_path / "a.csv") == [{**rows[0], "more": None}, rows[1]]
    with pytest.raises(DataError):
        read_table(tmp_path / "b.csv")
