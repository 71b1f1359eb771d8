"""The table of cases that the page sorts and filters."""

import math

from gracile.io.run_tables import measure_column
from gracile.serve.case_table import case_table

RECORDS = [
    {
        "name": "a", "status": "found", "flags": ["blurred"], "gates": {"nerve": 0.9},
        "gate_decisions": {"nerve": True},
        "measurements": [
            {"name": "caliber_mean", "value": 12.3456789, "unit": "um", "structure": "artery", "note": "rough"},
            {"name": "avr", "value": math.nan, "unit": "1", "structure": "", "note": ""},
        ],
    },
    {"name": "b", "status": "failed", "reason": "It is empty.", "files": {}},
    {"name": "c", "status": "absent", "measurements": [{"name": "avr", "value": None, "unit": "1", "structure": ""}]},
]  # fmt: skip


def test_columns_are_those_of_cases_csv() -> None:
    keys = [column["key"] for column in case_table(RECORDS)["columns"]]
    assert keys == [
        "case",
        "status",
        "reason",
        "flags",
        "gate.nerve",
        "decision.nerve",
        "artery.caliber_mean_um",
        "avr",
    ]


def test_rows_come_worst_first_and_name_their_records() -> None:
    table = case_table(RECORDS)
    assert [row[0] for row in table["rows"]] == ["b", "a", "c"]
    assert table["order"] == [1, 0, 2]


def test_failed_cases_have_every_column_and_what_is_no_number_is_none() -> None:
    table = case_table(RECORDS)
    failed, found, absent = table["rows"]
    assert failed == ["b", "failed", "It is empty.", [], None, None, None, None]
    assert found[3:] == [[0], 0.9, "TRUE", 12.3457, None]
    assert absent[-1] is None
    assert table["flags"] == ["blurred"]


def test_a_measure_without_structure_and_unit_is_its_name() -> None:
    assert measure_column({"name": "avr", "unit": "1", "structure": ""}) == "avr"
    assert measure_column({"name": "depth", "unit": "mm", "structure": "nerve"}) == "nerve.depth_mm"
