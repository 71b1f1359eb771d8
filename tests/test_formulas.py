"""Formulas are arithmetic and nothing else."""

import math

import pytest

from gracile.formulas import Formula


def test_names_and_values():
    formula = Formula("2.62 * A * log(1 + angle / 235)")
    assert formula.names == {"A", "angle"}
    assert formula({"A": 9.0, "angle": 360.0}) == pytest.approx(2.62 * 9 * math.log(1 + 360 / 235))
    assert Formula("-(a + 2) ** 2 / max(a, 4)")({"a": 1.0}) == pytest.approx(-9 / 4)


@pytest.mark.parametrize("text", ["1 / (a - 1)", "log(a - 1)", "(a - 2) ** 0.5", "10 ** 400 * a", "exp(9999 * a)"])
def test_what_is_no_number_is_none(text):
    assert Formula(text)({"a": 1.0}) is None


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "a.real", "a[0]", "[a]", "lambda: 1", "'text'", "True", "sqrt()", "open(a)", "a if a else 1",
     "a = 1", "", "max(*a)", "sqrt(x=1)", "a < 2"],
)  # fmt: skip
def test_more_than_arithmetic_is_refused(text):
    with pytest.raises(ValueError, match=r"formula|arithmetic"):
        Formula(text)
