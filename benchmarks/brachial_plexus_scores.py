"""Figures of `brachial_plexus.py`: gate, promise and place, over people that were held back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.stages.gate import GateStage
from gracile.stages.memory import Memory, rows_by_clip
from gracile.trust import GateScores, Wish, calibrated, calibrated_on_clips, promised

Rows = list[dict[str, Any]]

RECALLS = (0.95, 0.98, 0.99)
DELAYS = (0.0, 0.1, 0.2, 0.25)
BY_HAND = ("human",)
DIVISIONS = 100
WISHES = {"average, recall 0.95": Wish(0.95), "confidence 0.90, recall 0.90": Wish(0.90, "confidence", 0.90)}
ROUNDS = 1000


def all_figures(rows: Rows, gate: GateStage, twins: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that is told of answers to labeled frames.

    Args:
        rows: The answer to each frame by the model that did not see its person.
        gate: A fold's gate, for the prior and the settings that all share.
        twins: Pairs of people who look like one, and whether they are in two folds.
    """
    judged = Judged(rows, gate)
    apart = {person for pair in twins if pair["apart"] for person in pair["people"]}
    some = [row for row in rows if row["subject"] not in apart]
    figures: dict[str, Any] = {
        "frames": len(rows), "people": len({row["subject"] for row in rows}),
        "folds": sorted({row["fold"] for row in rows}),
        "gate": gate_figures(judged), "gate by hand": by_hand_figures(judged),
        "promise": {"single frames": promise_figures(judged, False), "with memory": promise_figures(judged, True)},
        "place": place_figures(rows),
        "alike people": {"pairs": len(twins), "pairs in two folds": sum(pair["apart"] for pair in twins),
                         "people in these": sorted(apart)},
    }  # fmt: skip
    if apart and len({row["fold"] for row in some}) > 1:
        figures["without alike people"] = {
            "people": len({row["subject"] for row in some}), "gate": gate_figures(Judged(some, gate), brief=True),
            "place": place_figures(some),
        }  # fmt: skip
    figures["card"] = card_figures(figures)
    return figures


class Judged:
    """Answers with each fold's gate calibrated by the other folds' people.

    Attributes:
        evidence: ``(frames,)`` log likelihood ratios.
        remembered: By delay, ``(frames,)`` probabilities with a memory.
    """

    def __init__(self, rows: Rows, gate: GateStage) -> None:
        self.rows = rows
        self.gate = gate
        self.subjects = np.array([row["subject"] for row in rows])
        self.present = np.array([row["present"] for row in rows])
        self.times = np.array([row["time_s"] for row in rows])
        self.source = np.array([row["source"] for row in rows])
        self.logits = np.array([row["logits"] for row in rows], dtype=float)
        fold = np.array([row["fold"] for row in rows])
        self.evidence = np.zeros(len(rows))
        self.remembered = {delay: np.zeros(len(rows)) for delay in DELAYS}
        self.memories: dict[int, Memory] = {}
        for number in np.unique(fold):
            own, others = fold == number, fold != number
            if not others.any():
                others = own  # a single fold: nothing else to calibrate by
            for delay in DELAYS:
                self.evidence[own], self.remembered[delay][own], self.memories[int(number)] = self.applied(
                    others, own, delay
                )

    def applied(self, learned: np.ndarray, own: np.ndarray, delay: float) -> tuple[np.ndarray, np.ndarray, Memory]:
        """Evidence and remembered probabilities of some frames, calibrated by others."""
        gate = _with_delay(self.gate, delay)
        wish = Wish(gate.spec.recall)
        chosen = calibrated([gate], [self.scores(learned)], wish)
        on_clips = calibrated_on_clips(gate, chosen, wish)
        assert on_clips is not None
        evidence = self.evidence_by(own, chosen.temperatures[0])
        memory = memory_of(gate, on_clips.numbers, chosen.temperatures[0])
        return evidence, self.in_clips(own, evidence, memory.of_clip), memory

    def evidence_by(self, rows: np.ndarray, temperature: float) -> np.ndarray:
        presence = self.gate.presence(self.gate.probabilities(self.logits[rows], temperature))
        return self.gate.evidence(presence, temperature)

    def in_clips(
        self, rows: np.ndarray, evidence: np.ndarray, told: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """What something tells of each person's frames in order, given their evidence and times."""
        found, subjects, times = np.zeros(len(evidence)), self.subjects[rows], self.times[rows]
        for own in rows_by_clip(subjects, times):
            found[own] = told(evidence[own], times[own])
        return found

    def scores(self, rows: np.ndarray) -> GateScores:
        return GateScores(
            self.subjects[rows], self.present[rows].astype(int), self.logits[rows], self.subjects[rows],
            self.times[rows],
        )  # fmt: skip


def memory_of(gate: GateStage, numbers: np.ndarray, temperature: float) -> Memory:
    wander, sharpness = map(float, numbers)
    return Memory(wander, sharpness, gate.prior(temperature), gate.spec.memory_delay)


def _with_delay(gate: GateStage, delay: float) -> GateStage:
    spec = gate.spec.model_copy(update={"memory": "filter", "memory_delay": delay})
    weights = {**gate.state, "memory": np.zeros(2), "memory_threshold": np.array(0.5)}
    return GateStage(spec, gate.recipe, gate.run, weights)


def mean_of_clip(half_life: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The exponential mean over evidence by time, which looks only back."""

    def told(evidence: np.ndarray, times: np.ndarray) -> np.ndarray:
        found = evidence.copy()
        for number in range(1, len(found)):
            weight = 1.0 - 0.5 ** ((times[number] - times[number - 1]) / half_life)
            found[number] = found[number - 1] + weight * (evidence[number] - found[number - 1])
        return found

    return told


def median_of_clip(before: float, after: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The median of the evidence in a stretch of time around each frame."""

    def told(evidence: np.ndarray, times: np.ndarray) -> np.ndarray:
        near = [(times >= time - before - 1e-6) & (times <= time + after + 1e-6) for time in times]
        return np.array([np.median(evidence[own]) for own in near])

    return told


def chain_of_clip(lasting: float, delay: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Log odds of a hidden Markov chain of two states, by forward and backward steps with a fixed lag.

    It comes 0.1 times and goes 0.02 times a second, as in these clips. A frame whose errors correlate by ``r`` with
    those of the one before it counts for ``(1 - r) / (1 + r)`` of its evidence.
    """
    rates = np.array([[-0.1, 0.1], [0.02, -0.02]])

    def told(evidence: np.ndarray, times: np.ndarray) -> np.ndarray:
        steps = np.maximum(np.diff(times), 0.0)
        alike = np.exp(-steps / lasting)
        news = np.clip(evidence * np.concatenate([[1.0], (1 - alike) / (1 + alike)]), -20, 20)
        says = np.stack([np.exp(np.minimum(-news, 0)), np.exp(np.minimum(news, 0))], axis=1)
        moves = [np.eye(2) + rates * (1 - np.exp(-0.12 * step)) / 0.12 for step in steps]
        forward = [np.array([1 / 6, 5 / 6]) * says[0]]
        for number, move in enumerate(moves):
            forward.append((forward[-1] / forward[-1].sum()) @ move * says[number + 1])
        found = np.zeros(len(evidence))
        for own, state in enumerate(forward):
            later = np.ones(2)
            for number in range(np.searchsorted(times, times[own] + delay + 1e-4, side="right") - 1, own, -1):
                later = moves[number - 1] @ (says[number] * later)
            found[own] = np.log(state[1] * later[1]) - np.log(state[0] * later[0])
        return found

    return told


# --- gate


def gate_figures(judged: Judged, brief: bool = False) -> dict[str, Any]:
    """AUROC pooled and within a person, and the whole trade, by each way of deciding."""
    everyone = np.ones(len(judged.rows), bool)
    ways = {"single frames": judged.evidence, "raw logits": judged.logits[:, 1] - judged.logits[:, 0]}
    ways |= {f"memory, delay {delay:g} s": _odds(told) for delay, told in judged.remembered.items()}
    if not brief:
        for half_life in (0.1, 0.2, 0.4):
            ways[f"exponential mean, half-life {half_life:g} s"] = judged.in_clips(
                everyone, judged.evidence, mean_of_clip(half_life)
            )
        for lasting in (0.2, 1.0):
            ways[f"chain of two states, errors of {lasting:g} s, delay 0.25 s"] = judged.in_clips(
                everyone, judged.evidence, chain_of_clip(lasting, 0.25)
            )
        for before in (0.25, 0.5):
            ways[f"median of {before:g} s before and 0.25 s after"] = judged.in_clips(
                everyone, judged.evidence, median_of_clip(before, 0.25)
            )
    return {
        name: one_way(judged, scores, intervals=not name.startswith(("exp", "median"))) for name, scores in ways.items()
    }


def one_way(judged: Judged, scores: np.ndarray, intervals: bool) -> dict[str, Any]:
    present, subjects = judged.present, judged.subjects
    found: dict[str, Any] = {"auroc": _area(present, scores)}
    if intervals:
        found["auroc interval"] = person_interval(subjects, lambda own: _area(present[own], scores[own]))
    within = within_people(present, scores, subjects)
    areas = [person["auroc"] for person in within]
    found |= {"within a person": float(np.mean(areas)) if areas else None, "people": len(within)}
    if intervals:
        found |= {"within interval": bootstrap_interval(areas), "by person": within}
    for recall in RECALLS:
        threshold = np.quantile(scores[present], 1.0 - recall, method="lower")
        found[f"false alarms at {recall:g}"] = (
            float((scores[~present] >= threshold).mean()) if (~present).any() else None
        )
    return found


def within_people(present: np.ndarray, scores: np.ndarray, subjects: np.ndarray) -> list[dict[str, Any]]:
    """The AUROC of each person with frames of both kinds, and how many of them."""
    found = []
    for person in np.unique(subjects):
        own = subjects == person
        if 0 < present[own].sum() < own.sum():
            found.append({"subject": str(person), "auroc": _area(present[own], scores[own]),
                          "with": int(present[own].sum()), "without": int((~present[own]).sum())})  # fmt: skip
    return found


def by_hand_figures(judged: Judged) -> dict[str, Any]:
    """The same of the frames that were labeled by hand; few of them are without the nerve."""
    own = np.isin(judged.source, BY_HAND)
    present, subjects = judged.present[own], judged.subjects[own]
    found: dict[str, Any] = {"with": int(present.sum()), "without": int((~present).sum())}
    for name, told in (("single frames", judged.evidence), ("with memory", _odds(judged.remembered[0.25]))):
        scores = told[own]

        def area(rows: np.ndarray, scores: np.ndarray = scores) -> float | None:
            return _area(present[rows], scores[rows])

        found[name] = {"auroc": area(np.arange(len(scores))), "auroc interval": person_interval(subjects, area)}
        for recall in RECALLS[:1]:
            threshold = np.quantile(told[judged.present], 1.0 - recall, method="lower")
            found[name] |= {
                "recall at the threshold of all": float((scores[present] >= threshold).mean()),
                "false alarms there": float((scores[~present] >= threshold).mean()) if (~present).any() else None,
            }
    return found


def person_interval(
    subjects: np.ndarray, score: Callable[[np.ndarray], float | None], rounds: int = ROUNDS
) -> tuple[float, float] | None:
    """95 % interval of a score of rows when people are drawn anew, each with all its frames."""
    people = [np.flatnonzero(subjects == person) for person in np.unique(subjects)]
    random = np.random.default_rng(0)
    drawn = (np.concatenate([people[i] for i in random.integers(len(people), size=len(people))]) for _ in range(rounds))
    found = [value for rows in drawn if (value := score(rows)) is not None]
    return (float(np.percentile(found, 2.5)), float(np.percentile(found, 97.5))) if len(found) > rounds / 2 else None


def _area(present: np.ndarray, scores: np.ndarray) -> float | None:
    return float(roc_auc_score(present, scores)) if 0 < present.sum() < len(present) else None


def _odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-15, 1.0 - 1e-15)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


# --- promise


def promise_figures(judged: Judged, remembers: bool) -> dict[str, Any]:
    """What came of promises, over random divisions of the people into those calibrated on and those tested on."""
    people = np.unique(judged.subjects)
    tests: dict[str, list[dict[str, Any]]] = {name: [] for name in WISHES}
    for seed in range(DIVISIONS):
        half = np.random.default_rng(seed).permutation(people)[: len(people) // 2]
        for name, outcome in _division(judged, np.isin(judged.subjects, half), remembers).items():
            tests[name].append(outcome)
    found = {}
    for name, outcomes in tests.items():
        recalls = np.array([one["recall"] for one in outcomes])
        found[name] = {
            "recall, mean over people, mean over divisions": float(recalls.mean()),
            "kept in divisions": int((recalls >= WISHES[name].recall).sum()),
            "recall of frames": float(np.mean([one["recall of frames"] for one in outcomes])),
            "false alarms": float(np.mean([one["false alarms"] for one in outcomes])),
            "promised as": sorted({one["form"] for one in outcomes}),
            "people calibrated on": int(np.median([one["people"] for one in outcomes])),
        }  # fmt: skip
    return found


def _division(judged: Judged, learned: np.ndarray, remembers: bool) -> dict[str, dict[str, Any]]:
    """By each promise, what came of it on the people that were not calibrated on."""
    gate, test = _with_delay(judged.gate, judged.gate.spec.memory_delay), ~learned
    chosen = calibrated([gate], [judged.scores(learned)], Wish())
    temperature = chosen.temperatures[0]
    said, told = chosen.presence, gate.presence(gate.probabilities(judged.logits[test], temperature))
    if remembers:
        scores = chosen.scores[0]
        taught = gate.learned_memory(
            said, chosen.positive, scores.clips, scores.times, scores.subjects, temperature
        )  # fmt: skip
        assert taught is not None
        memory, said = memory_of(gate, taught[0], temperature), taught[1]
        told = judged.in_clips(test, judged.evidence_by(test, temperature), memory.of_clip)
    present, subjects = judged.present[test], judged.subjects[test]
    found = {}
    for name, wish in WISHES.items():
        promise = promised(said, chosen.positive, chosen.subjects, wish)
        passes = told >= promise.threshold
        shares = [passes[present & (subjects == person)].mean() for person in np.unique(subjects[present])]
        found[name] = {
            "recall": float(np.mean(shares)), "recall of frames": float(passes[present].mean()),
            "false alarms": float(passes[~present].mean()), "form": promise.form, "people": promise.people,
        }  # fmt: skip
    return found


# --- place


def place_figures(rows: Rows) -> dict[str, Any]:
    """Dice with the boxes' union and the share of boxes touched where the nerve is, and what is painted elsewhere."""
    there = [row for row in rows if row["present"]]
    parts = {"all": there, "by hand": [row for row in there if row["source"] in BY_HAND]}
    found: dict[str, Any] = {name: _place(own) for name, own in parts.items()}
    empty = [row for row in rows if not row["present"]]
    if empty:
        found["painted where no nerve is, ungated"] = float(np.mean([row["painted"] > 0 for row in empty]))
    return found


def _place(rows: Rows) -> dict[str, Any]:
    dices, subjects = np.array([row["dice"] for row in rows]), [row["subject"] for row in rows]
    people = [float(dices[[s == person for s in subjects]].mean()) for person in sorted(set(subjects))]
    return {
        "frames": len(rows), "dice": float(dices.mean()), "interval": bootstrap_interval(dices.tolist(), subjects),
        "dice, mean over people": float(np.mean(people)), "worst person": float(np.min(people)),
        "boxes": sum(row["boxes"] for row in rows),
        "boxes touched": sum(row["touched"] for row in rows) / max(1, sum(row["boxes"] for row in rows)),
        "nothing painted": float(np.mean([row["painted"] == 0 for row in rows])),
    }  # fmt: skip


# --- shown


def card_figures(figures: dict[str, Any]) -> dict[str, Any]:
    """The rows of a model's card."""
    remembered = "memory, delay 0.25 s"
    ways = {"gate, single frames": figures["gate"]["single frames"], "gate, with memory": figures["gate"][remembered]}
    card: dict[str, Any] = {}
    for name, way in ways.items():
        card[name] = {"auroc": _short(way["auroc"]), "within_a_person": _short(way["within a person"])}
        for recall in RECALLS:
            card[name][f"false_alarms_at_recall_{recall:g}"] = _short(way[f"false alarms at {recall:g}"])
    place = figures["place"]["all"]
    card["place"] = {"dice": _short(place["dice"]), "boxes_touched": _short(place["boxes touched"])}
    return card


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def shown(figures: dict[str, Any], indent: str = "") -> str:
    """All figures as lines, without what is told of single people."""
    lines: list[str] = []
    for name, value in figures.items():
        if name in ("by person", "card"):
            continue
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", shown(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {_words(value)}")
    return "\n".join(lines)


def _words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(map(_words, value)) if value and isinstance(value[0], float) else ", ".join(map(str, value))
    return str(value)
