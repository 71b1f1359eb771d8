"""The tables of a run folder: all cases, all measurements, whole numbers, and no formula."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from gracile.errors import DataError
from gracile.io.predictions_file import NOTHING, read_predictions, write_predictions
from gracile.io.run_tables import join_runs, write_rows, write_run_tables


def record(name: str, **told: Any) -> dict[str, Any]:
    return {**NOTHING, "name": name, "status": "found", **told}


def measured(name: str, value: float | None, unit: str, structure: str = "", note: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "structure": structure, "note": note}


RECORDS = [
    record(
        "a", flags=["small", "at the border"], gates={"nerve": 0.875}, gate_decisions={"nerve": True},
        measurements=[measured("area", 12.3456789012, "mm2", "nerve"), measured("avr", -0.5, "1", note="by hand")],
    ),
    record("b", status="failed", reason="b.png is empty,\nor not there"),
    record("c", measurements=[measured("area", None, "mm2", "nerve", "nothing there"), measured("depth", 1.5, "px")]),
]  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_case_has_a_row_with_all_that_is_known(tmp_path):
    write_run_tables(tmp_path, RECORDS)
    rows = read(tmp_path / "cases.csv")
    assert list(rows[0]) == [
        "case", "status", "reason", "flags", "gate.nerve", "decision.nerve", "nerve.area_mm2", "avr", "depth_px",
    ]  # fmt: skip
    assert rows[0] == {
        "case": "a", "status": "found", "reason": "", "flags": "small; at the border", "gate.nerve": "0.875",
        "decision.nerve": "TRUE", "nerve.area_mm2": "12.3456789012", "avr": "-0.5", "depth_px": "",
    }  # fmt: skip
    assert (rows[1]["status"], rows[1]["reason"], rows[1]["avr"]) == ("failed", "b.png is empty,\nor not there", "")
    assert (rows[2]["nerve.area_mm2"], rows[2]["depth_px"]) == ("", "1.5")


def test_every_measurement_has_a_row(tmp_path):
    write_run_tables(tmp_path, RECORDS)
    rows = read(tmp_path / "measurements.csv")
    assert [list(row.values()) for row in rows] == [
        ["a", "nerve", "area", "12.3456789012", "mm2", ""],
        ["a", "", "avr", "-0.5", "1", "by hand"],
        ["c", "nerve", "area", "", "mm2", "nothing there"],
        ["c", "", "depth", "1.5", "px", ""],
    ]


def test_a_run_without_a_case_has_tables_all_the_same(tmp_path):
    write_run_tables(tmp_path, [])
    assert (tmp_path / "cases.csv").read_text() == "case,status,reason,flags\n"
    assert (tmp_path / "measurements.csv").read_text() == "case,structure,measure,value,unit,note\n"


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\ta", "\ra", "\na"])
def test_a_name_that_begins_like_a_formula_is_a_text(tmp_path, name):
    formula = measured(name, -1.5, "mm", name, name)
    write_run_tables(tmp_path, [record(name, reason=name, flags=[name], gates={name: 0.5}, measurements=[formula])])
    (case,) = read(tmp_path / "cases.csv")
    name = name.replace("\r", "\n")
    assert case["case"] == case["reason"] == case["flags"] == f"'{name}"
    assert case[f"'{name}.{name}_mm"] == "-1.5"
    (row,) = read(tmp_path / "measurements.csv")
    assert [row[column] for column in ("case", "structure", "measure", "note")] == [f"'{name}"] * 4
    assert row["value"] == "-1.5"


def test_names_of_any_alphabet_and_of_none_are_written(tmp_path):
    write_run_tables(tmp_path, [record("œil né"), record("\udcff")])
    assert [row["case"] for row in read(tmp_path / "cases.csv")] == ["œil né", "\\udcff"]


def write_run(folder: Path, model: str, records: list[dict[str, Any]]) -> Path:
    write_predictions(folder / "predictions.json", "k", {"model": {"name": model}}, records)
    return folder


def test_runs_of_different_recipes_are_joined_with_the_columns_of_all(tmp_path):
    first = write_run(tmp_path / "one", "retina", RECORDS[:2])
    second = write_run(tmp_path / "two", "nerve", [record("d", measurements=[measured("depth", 2.0, "px")])])
    joined = join_runs([first, second])
    assert joined.columns == [
        "run", "model", "case", "status", "reason", "flags", "gate.nerve", "decision.nerve", "nerve.area_mm2", "avr",
        "depth_px",
    ]  # fmt: skip
    text = io.StringIO()
    write_rows(text, joined.columns, joined.rows)
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert [(row["run"], row["model"], row["case"]) for row in rows] == [
        (str(first), "retina", "a"), (str(first), "retina", "b"), (str(second), "nerve", "d"),
    ]  # fmt: skip
    assert (rows[2]["depth_px"], rows[2]["avr"]) == ("2.0", "")
    long = join_runs([first, second], long=True)
    assert long.columns == ["run", "model", "case", "structure", "measure", "value", "unit", "note"]
    assert [row["measure"] for row in long.rows] == ["area", "avr", "depth"]


def test_a_folder_that_is_given_twice_counts_once(tmp_path):
    one, two = (write_run(tmp_path / name, "m", RECORDS[:1]) for name in ("one", "two"))
    (tmp_path / "link").symlink_to(one)
    for again in (one, tmp_path / "two/../one", tmp_path / "link"):
        assert [row["run"] for row in join_runs([one, two, again]).rows] == [str(one), str(two)]


def test_a_run_of_an_earlier_version_whose_failures_tell_less_is_joined(tmp_path):
    run = write_run(tmp_path / "old", "m", RECORDS[:1])
    content = (run / "predictions.json").read_text()
    bare = '{"name": "x", "input": "x.png", "status": "failed", "reason": "empty", "files": {}}'
    (run / "predictions.json").write_text(content.replace("\n  ]\n}", f",\n    {bare}\n  ]\n}}"))
    assert [row["status"] for row in join_runs([run]).rows] == ["found", "failed"]


def test_a_folder_without_predictions_is_refused(tmp_path):
    with pytest.raises(DataError, match="gracile merge"):
        join_runs([tmp_path])
    (tmp_path / "predictions.json").write_text("[]")
    with pytest.raises(DataError, match="does not hold what it should"):
        join_runs([tmp_path])


@pytest.mark.parametrize("records", [[], RECORDS[:1], RECORDS])
def test_predictions_come_back_as_they_were_written_a_line_each(tmp_path, records):
    path = tmp_path / "predictions.json"
    write_predictions(path, "k", {"model": {"name": "m"}, "x": 1}, records)
    assert read_predictions(path)["inputs"] == [{**record, "sha256": "", "finished": ""} for record in records]
    assert sum('"name": "' in line and '"status"' in line for line in path.read_text().splitlines()) == len(records)


@pytest.mark.parametrize("spoiled", [
    {"files": {"mask": 1}}, {"files": {"mask": "a\0"}}, {"status": "perhaps"}, {"name": None}, {"measurements": [{}]},
    {"gates": {"nerve": "0.5"}}, {"flags": "small"}, {"seconds": []},
])  # fmt: skip
def test_a_record_with_a_part_of_another_kind_is_refused_by_its_place(tmp_path, spoiled):
    write_predictions(tmp_path / "predictions.json", "k", {"model": {"name": "m"}}, [{**RECORDS[0], **spoiled}])
    with pytest.raises(DataError, match=rf"inputs\.0\.{next(iter(spoiled))}"):
        read_predictions(tmp_path / "predictions.json")
