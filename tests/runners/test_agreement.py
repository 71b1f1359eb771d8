"""A bundle's table says whether an engine may compute in bfloat16."""

import pytest

from gracile.runners.agreement import agrees

GOOD = {"pixels": 0.998, "score_difference": -0.05, "gates": 1.0}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (GOOD, True),
        ({"pixels": 0.997, "score_difference": 0.1}, True),
        ({"score_difference": 0.1}, True),
        ({**GOOD, "pixels": 0.9969}, False),
        ({**GOOD, "score_difference": -0.11}, False),
        ({**GOOD, "gates": 0.99}, False),
        ({**GOOD, "pixels": float("nan")}, False),
        ({"gates": 1.0}, False),
        ({"pixels": "0.999"}, False),
        ({}, False),
        (None, False),
        ("good", False),
    ],
)
def test_a_row_must_state_that_answers_agree(row, expected):
    assert agrees({"engines": {"openvino bfloat16": row}}, "openvino", "bfloat16") is expected


@pytest.mark.parametrize("card", [{}, {"engines": None}, {"engines": []}, {"engines": {"torch bfloat16": GOOD}}])
def test_without_a_row_nothing_agrees(card):
    assert not agrees(card, "openvino", "bfloat16")
