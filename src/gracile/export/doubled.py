"""Numbers in two of float32 each, about 48 bits, for engines that know no float64.

Source: Dekker, A floating-point technique for extending the available precision, Numerische Mathematik 18 (1971) 224.
"""

from dataclasses import dataclass

from gracile.export.graph import Value

_SPLITS = 4097.0
"""2 ** 12 + 1: cuts the 24 bits of a float32 in halves."""


@dataclass(frozen=True)
class Doubled:
    """The sum of two float32, the low one less than half of the high one's last place."""

    high: Value
    low: Value

    @classmethod
    def of(cls, number: Value) -> "Doubled":
        """A float32."""
        return cls(number, number * 0.0)

    @classmethod
    def sum_of(cls, one: Value, other: Value) -> "Doubled":
        """The sum of two float32, exactly."""
        total = one + other
        part = total - one
        return cls(total, (one - (total - part)) + (other - part))

    @classmethod
    def product_of(cls, one: Value, other: Value) -> "Doubled":
        """The product of two float32, exactly."""
        product = one * other
        (a, b), (c, d) = _halves(one), _halves(other)
        return cls(product, ((a * c - product) + a * d + b * c) + b * d)

    def part(self, start: int, stop: int) -> "Doubled":
        """Of several numbers those from one place up to another."""
        return Doubled(self.high.part(start, stop, 0), self.low.part(start, stop, 0))

    def __add__(self, other: "Doubled") -> "Doubled":
        total = Doubled.sum_of(self.high, other.high)
        return Doubled.sum_of(total.high, total.low + (self.low + other.low))

    def __neg__(self) -> "Doubled":
        return Doubled(-self.high, -self.low)

    def __mul__(self, other: "Doubled") -> "Doubled":
        product = Doubled.product_of(self.high, other.high)
        return Doubled.sum_of(product.high, product.low + (self.high * other.low + self.low * other.high))

    def __truediv__(self, other: "Doubled") -> "Doubled":
        share = self.high / other.high
        rest = self + -(other * Doubled.of(share))
        return Doubled.sum_of(share, rest.high / other.high)


def _halves(number: Value) -> tuple[Value, Value]:
    wide = number * _SPLITS
    high = wide - (wide - number)
    return high, number - high
