"""JSON and YAML are read, or refused in one sentence that tells no type of Python and no value of the file."""

import json
from pathlib import Path

import pytest
from typing_extensions import TypedDict

from gracile.errors import DataError, RecipeError
from gracile.plain_data import DEEPEST, FileName, Text, parse_json, parse_yaml, read_json, read_yaml
from gracile.recipe import read_recipe


class Shape(TypedDict):
    """A record."""

    name: FileName
    flags: list[Text]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON, or was cut off"),
        (b'{"a": 1', "line 1"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "nested more than 64 deep"),
        (b"[" * 200 + b"]" * 200, "nested more than 64 deep"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested more than 64 deep"),
        (b"[" + b"9" * 5000 + b"]", "too large a number"),
        (b"[NaN]", "NaN is no number"),
        (b"[-Infinity]", "is no number"),
        (b"[1e999]", "1e999 is no number"),
    ],
)
def test_json_that_no_computer_holds_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_json(path, "Make it anew.")
    assert caught.value.remedy == "Make it anew."
    assert "Error" not in str(caught.value)


def test_brackets_in_texts_are_no_levels() -> None:
    text = json.dumps(["[{" * 500, "\\", '"[', [1]])
    assert parse_json(text, "it", "") == ["[{" * 500, "\\", '"[', [1]]
    deepest = "[" * DEEPEST + "]" * DEEPEST
    assert str(parse_json(deepest, "it", "")) == deepest
    with pytest.raises(DataError, match="deep"):
        parse_json(f"[{deepest}]", "it", "")


def test_numbers_beyond_json_are_read_where_other_programs_write_them() -> None:
    assert str(parse_json("[NaN, Infinity]", "it", "", any_number=True)) == "[nan, inf]"


@pytest.mark.parametrize("data", [
    None, [], {}, {"name": "a"}, {"name": 1, "flags": []}, {"name": "a", "flags": ["x", 4]},
    {"name": "a\0", "flags": []}, {"name": "\ud800", "flags": []},
])  # fmt: skip
def test_data_of_another_shape_is_refused_without_its_values(data: object) -> None:
    with pytest.raises(DataError, match="does not hold what it should"):
        parse_json(json.dumps(data), "it", "", shape=Shape)
    with pytest.raises(DataError) as caught:
        parse_json('{"name": "Doe^Jane", "flags": {"Doe^Jane": 1}}', "it", "", shape=Shape)
    assert "Doe" not in str(caught.value)


def test_names_of_old_disks_fit_a_shape() -> None:
    assert parse_json('{"name": "scan\\udcff", "flags": []}', "it", "", shape=Shape)["name"] == "scan\udcff"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{to}: &{to} [{', '.join([f'*{of}'] * 9)}]\n" for of, to in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1", "line"),
        (b"a: \xff", "not UTF-8"),
        (b"a: \0", "no YAML of plain values"),
        (b"[" * 20_000, "nested more than 64 deep"),
        (b"- " * 90 + b"1", "nested more than 64 deep"),
        (BOMB.encode(), "unfold to more than"),
        (b"a: &a [*a]", "unfold to more than"),
        (b"a: " + b"9" * 5000, "no YAML of plain values"),
        (b"a: " + b"9" * 100, "too large"),
        (b"a: !!int x", "no YAML of plain values"),
        (b"a: !!bool x", "no YAML of plain values"),
        (b"a: 2001-99-99", "no YAML of plain values"),
        (b"a: 2001-01-01", "date"),
        (b"a: !!python/name:os.system", "could not determine a constructor"),
    ],
)
def test_yaml_that_no_setting_is_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_yaml(path, "Make it anew.")
    with pytest.raises(RecipeError, match=reason):
        read_recipe(path)


def test_aliases_that_people_write_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: *a\n", "it", "") == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}


@pytest.mark.parametrize("name", ["gone.json", "no\0name.json", "n" * 300, "."])
def test_what_is_no_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be read: \w"):
        read_json(tmp_path / name, "")
