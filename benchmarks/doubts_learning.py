"""Learns doubts, see `gracile.transforms.doubts`, from figures of cases and how each is to be judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import yaml
from scipy import optimize

from gracile.transforms.doubts import Doubt, Doubts

USUAL = 95.0
"""Percentile of the cases without doubt at which a doubt begins."""

SPREADS = {
    "order": 0.1, "dark_lines": 0.8, "color": 0.15, "border": 0.25, "roundness": 0.1, "blue": 0.08, "red": 0.2,
    "dark": 0.1, "burnt": 0.05, "pale": 0.1, "blots": 0.08, "plain": 0.15, "covered": 0.15, "together": 0.2,
    "visible": 0.08,
}  # fmt: skip
"""Distance that counts as one, of figures of which what is without doubt is too much alike, or too little."""


def learned(
    figures: Sequence[Mapping[str, float]],
    judged: Sequence[int],
    shares: Sequence[float],
    doubts: Sequence[tuple[str, str, str]],
    names: Sequence[str],
    ridge: float = 0.003,
) -> Doubts:
    """Doubts whose weights make the judgments most likely: a proportional-odds model with weights of at least 0.

    Source: McCullagh, Journal of the Royal Statistical Society B 42 (1980) 109-142.

    Args:
        figures: Of each case.
        judged: 0 for what is without doubt, up to the number of names.
        shares: How much each case counts.
        doubts: Figure, side and words of each.
        names: Of the limits between judgments, in their order.
        ridge: Weight of the squared weights beside the mean loss: where cases part cleanly, weights would grow without
            end.
    """
    judgment, weight = np.array(judged), np.array(shares) / np.sum(shares)
    usual = [one for one, judged_as in zip(figures, judgment, strict=True) if judged_as == 0]
    rows = [_begun(figure, side, words, usual) for figure, side, words in doubts]
    excess = np.array([[doubt.excess(one) for doubt in rows] for one in figures])
    count = len(names)

    def loss(parameters: np.ndarray) -> float:
        limits = np.cumsum(np.r_[parameters[0], np.exp(parameters[1:count])])
        total = excess @ parameters[count:]
        reached = np.c_[np.ones(len(total)), 1 / (1 + np.exp(np.clip(limits - total[:, None], -40, 40)))]
        reached = np.c_[reached, np.zeros(len(total))]
        likely = reached[np.arange(len(total)), judgment] - reached[np.arange(len(total)), judgment + 1]
        return float(-(weight * np.log(np.maximum(likely, 1e-12))).sum() + ridge * (parameters[count:] ** 2).sum())

    start = np.r_[2.0, np.zeros(count - 1), np.ones(len(rows))]
    bounds = [(None, None)] * count + [(0.0, None)] * len(rows)
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    limits = np.cumsum(np.r_[found[0], np.exp(found[1:count])])
    weighed = [replace(doubt, weight=float(own)) for doubt, own in zip(rows, found[count:], strict=True) if own > 0.02]
    return Doubts(tuple(weighed), {name: float(limit) for name, limit in zip(names, limits, strict=True)})


def _begun(figure: str, side: str, words: str, usual: Sequence[Mapping[str, float]]) -> Doubt:
    """A doubt that begins where all but a few of the usual cases end, its spread half of theirs."""
    values = [one[figure] for one in usual if figure in one]
    low, high = np.percentile(values, (100 - USUAL, USUAL))
    spread = SPREADS.get(figure, max((high - low) / 2, 0.01))
    return Doubt(figure, side, float(low if side == "low" else high), float(spread), 1.0, words)  # type: ignore[arg-type]


def write(doubts: Doubts, path: Path, remark: str) -> None:
    """Write them with a remark on how they were learned."""
    head = "".join(f"# {line}\n" for line in [*remark.splitlines(), f"Learned on {date.today()}."])
    table = doubts.as_table()
    rows = "".join(f"- {yaml.safe_dump(row, default_flow_style=True, width=200).strip()}\n" for row in table["doubts"])
    limits = yaml.safe_dump(table["limits"], default_flow_style=True, sort_keys=False).strip()
    path.write_text(f"{head}limits: {limits}\ndoubts:\n{rows}", encoding="utf-8")
