"""Formulas that recipes state: arithmetic over named numbers, read without running any code."""

import ast
import math
import operator
from collections.abc import Callable, Mapping

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt, "log": math.log, "exp": math.exp, "abs": abs, "min": min, "max": max, "sin": math.sin,
    "cos": math.cos, "radians": math.radians,
}  # fmt: skip


class Formula:
    """Arithmetic such as ``2.62 * A * log(1 + angle / 235)``; angles of its functions are in radians.

    Args:
        text: Numbers, names, ``+ - * / **``, parentheses, and sqrt, log, exp, abs, min, max, sin, cos, radians.

    Raises:
        ValueError: Anything else is in it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError:
            raise ValueError(f"{text!r} is no formula") from None
        self.names: set[str] = set()
        self._check(self._tree)

    def __call__(self, values: Mapping[str, float]) -> float | None:
        """The value for given names; None where it is no number, as of a division by zero."""
        try:
            value = self._value(self._tree, values)
        except (ArithmeticError, ValueError):
            return None
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    def _check(self, node: ast.AST) -> None:
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return
            case ast.Name(id=name):
                self.names.add(name)
            case ast.UnaryOp(op=sign, operand=part) if type(sign) in _OPERATORS:
                self._check(part)
            case ast.BinOp(op=sign, left=left, right=right) if type(sign) in _OPERATORS:
                self._check(left)
                self._check(right)
            case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in _FUNCTIONS and parts:
                for part in parts:
                    self._check(part)
            case _:
                raise ValueError(f"{self.text!r} holds more than arithmetic: {ast.unparse(node)}")

    def _value(self, node: ast.AST, values: Mapping[str, float]) -> float:
        match node:
            case ast.Constant(value=value):
                return value  # type: ignore[return-value]
            case ast.Name(id=name):
                return values[name]
            case ast.UnaryOp(op=sign, operand=part):
                return _OPERATORS[type(sign)](self._value(part, values))
            case ast.BinOp(op=sign, left=left, right=right):
                return _OPERATORS[type(sign)](self._value(left, values), self._value(right, values))
            case ast.Call(func=ast.Name(id=name), args=parts):
                return _FUNCTIONS[name](*(self._value(part, values) for part in parts))
        raise AssertionError(node)
