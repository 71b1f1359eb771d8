"""The page of flags: each that it names can be said, and each of the figures stands in it."""

import re
from pathlib import Path

import pytest

from gracile.trust.figures import FIGURES, INPUT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "gracile").rglob("*.py"))
# Strings that go on over lines are joined, then what is filled in becomes "…".
SAID = re.sub(r"\{[^{}\n]*\}", "…", re.sub(r'"\s*\n\s*f?"', "", SOURCE))
NAMED = [text for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for text in re.findall(r"`([^`]+)`", row)]
KINDS = "fundus photograph|ultrasound image"
WORDS = "STRUCTURE|LANDMARK|PART|NAME|TYPE|MODE|UNIT|[NMABXP]%?"
FILLED = re.compile(rf"\b(?:{WORDS})\b%?|\d+%?|\.\.\.|landmarks(?=:)|{KINDS}")


@pytest.mark.parametrize("text", NAMED)
def test_each_flag_and_note_of_the_page_is_one_that_the_program_says(text: str) -> None:
    parts = [part.strip(" :()'") for part in FILLED.split(text)]
    for part in parts:
        assert part in SAID, part


@pytest.mark.parametrize("name", FIGURES)
def test_each_flag_of_a_figure_stands_in_the_page(name: str) -> None:
    figure = FIGURES[name]
    for words in filter(None, (figure.low, figure.high)):
        assert any(text.endswith(words) for text in NAMED), words


def test_flags_of_inputs_are_told_from_those_of_structures() -> None:
    assert all("input" in text for text in NAMED if "than ordinary ones" in text)
    assert INPUT == "input"
