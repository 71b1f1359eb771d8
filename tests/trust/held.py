"""Drawn answers whose signs tell how good they are, for the tests of the prediction of quality."""

import numpy as np

from gracile.trust import HeldAnswer
from gracile.trust.signs import SIGNS, SignedAnswer, Unit

PARTS = ("nerve", "vessel")


def drawn(
    count: int, *, seed: int = 0, people: int | None = None, parts: tuple[str, ...] = ("nerve",), noise: float = 0.05
) -> list[HeldAnswer]:
    """Answers whose Dice is that of their ``confidence`` and some noise; ``edge`` says nothing.

    The margin of their outline grows as their Dice falls.
    """
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        confidences = random.uniform(0.4, 0.98, len(parts))
        dices = [float(np.clip(c + random.normal(0, noise * (1.3 - c)), 0, 1)) for c in confidences]
        units = [
            Unit(
                part,
                {
                    "confidence": SIGNS["confidence"].scaled(float(c)),
                    "agreement": SIGNS["agreement"].scaled(float(np.clip(c + random.normal(0, 0.1), 0, 1))),
                    "edge": SIGNS["edge"].scaled(float(random.uniform(0.2, 1))),
                    "share": SIGNS["share"].scaled(float(random.lognormal(-4, 0.5))),
                },
            )
            for part, c in zip(parts, confidences, strict=True)
        ]
        score = float(np.mean(dices))
        margin = float(0.1 * (1 - score) * random.lognormal(0, 0.4))
        subject = f"person {number % (people or count)}"
        found.append(HeldAnswer(f"case {number}", subject, SignedAnswer(units), dices, score, {}, margin))
    return found
