"""Results smoothed over time: what flickers from frame to frame is rarely anatomy.

A gate's memory (`gracile.stages.memory`) decides whether something is there, by what was learned of how it comes and
goes; smoothing then evens out where it is. Without a memory, smoothing does both, by means that look only back.
"""

from collections.abc import Callable

import numpy as np

from gracile.result import Result

ENTER, LEAVE = 0.6, 0.4
"""Smoothed share of frames with a finding at which a structure counts as there, and below which as gone."""


class Smoother:
    """Exponential means of the findings, of the gates and of the probability maps, by time, not by number of frames.

    A frame whose gate ended the cascade counts as background everywhere. The class has hysteresis: it changes to found
    at `ENTER` and back below `LEAVE`. The first frame is taken as it is.

    Args:
        half_life: Seconds after which a frame counts half.
        decide: ``(classes, height, width)`` probabilities to ``(height, width)`` uint8 class indices.
        gated: Whether gates with a memory decide what is there: then the maps alone are smoothed, as the gates' answers
            are weighed over time already.
    """

    def __init__(self, half_life: float, decide: Callable[[np.ndarray], np.ndarray], gated: bool = False) -> None:
        self._half_life = half_life
        self._decide = decide
        self._gated = gated
        self._time: float | None = None
        self._evidence = 0.0
        self._found = False
        self._gates: dict[str, float] = {}
        self._maps: np.ndarray | None = None

    def smooth(self, result: Result, seconds: float) -> None:
        """Replace status, gates, mask and probabilities of a frame's result by the smoothed ones.

        Args:
            result: With its mask and, unless a gate ended the cascade, its probabilities, which are used up.
            seconds: The frame's time; grows from call to call.
        """
        assert result.mask is not None
        first = self._time is None
        weight = 1.0 if self._time is None else 1 - 0.5 ** ((seconds - self._time) / self._half_life)
        self._time = seconds
        if self._gated:
            self._found = any(result.gate_decisions.values())
            first |= self._maps is None
            self._maps = self._maps if self._found else None  # maps from before it was closed say nothing of later ones
        else:
            self._evidence += weight * ((result.status == "found") - self._evidence)
            self._found = self._evidence >= (LEAVE if self._found else ENTER)
            for name, value in result.gates.items():
                before = self._gates.get(name, value)
                self._gates[name] = before + weight * (value - before)
            result.gates = dict(self._gates)
        self._blend(result.probabilities, weight, (len(result.maps or result.classes), *result.mask.shape), first)
        result.probabilities = self._maps
        if self._maps is not None and self._found:
            mask = self._decide(self._maps)
            if result.region is not None:
                mask[~result.region] = 0
            result.mask = mask
        else:
            result.mask = np.zeros_like(result.mask)
        result.status = "found" if result.mask.any() else "absent"
        result.reason = "" if result.mask.any() else "nothing there after smoothing"

    def _blend(self, maps: np.ndarray | None, weight: float, shape: tuple[int, ...], first: bool) -> None:
        if self._maps is None:
            if maps is None:
                return
            if first:
                self._maps = maps.copy()
                return
            self._maps = np.zeros(shape, np.float32)  # frames without maps came before: all was background
            self._maps[0] = 1
        if maps is None:
            self._maps *= np.float32(1 - weight)
            self._maps[0] += np.float32(weight)
            return
        maps -= self._maps
        maps *= np.float32(weight)
        self._maps += maps
