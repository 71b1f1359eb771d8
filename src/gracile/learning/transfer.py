"""Fine-tuning: the weights of a bundle on the stages of a recipe, by name, and what could not be carried over."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from gracile.bundle import Bundle
from gracile.errors import BundleError, RecipeError
from gracile.learning.channels import ChannelMoves, moves_of
from gracile.learning.layers import axes_of, layers_of, named_layers
from gracile.learning.learners import Learner, build_learner
from gracile.networks.anatomy import Axis
from gracile.networks.weights import tensors_of
from gracile.recipe import Recipe, TransferSpec

log = logging.getLogger(__name__)

Reason = Literal[
    "new class", "new channel", "other shape", "re-initialized on request", "absent in the source",
    "not stored in a bundle", "chosen anew after training",
]  # fmt: skip

SHOWN = 6


@dataclass(frozen=True)
class Remark:
    """What is to be said of one layer.

    Args:
        layer: Its name in the stage.
        reason: In a word; for what was not carried over one of `Reason`.
        detail: The classes, the shapes or the pattern that it is about.
    """

    layer: str
    reason: str
    detail: str = ""


@dataclass
class Transfer:
    """What a stage took over from a bundle.

    Args:
        stage: Name of the stage.
        source: Name of the bundle's stage; empty where it has none.
        layers: Number of the stage's layers that a bundle stores.
        carried: How many of them were carried over, wholly or in part.
        left_out: What was not carried over.
        adapted: What was carried over in another shape.
        unused: What the bundle has and the stage has no place for.
    """

    stage: str
    source: str = ""
    layers: int = 0
    carried: int = 0
    left_out: list[Remark] = field(default_factory=list)
    adapted: list[Remark] = field(default_factory=list)
    unused: list[Remark] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For a run's record."""
        return {
            "source": self.source,
            "layers": self.layers,
            "carried_over": self.carried,
            **{name: [vars(r) for r in getattr(self, name)] for name in ("left_out", "adapted", "unused")},
        }

    @classmethod
    def from_dict(cls, stage: str, record: Mapping[str, Any]) -> "Transfer":
        """Read a run's record back."""
        remarks = {name: [Remark(**r) for r in record[name]] for name in ("left_out", "adapted", "unused")}
        return cls(stage, record["source"], record["layers"], record["carried_over"], **remarks)

    @property
    def fresh(self) -> set[str]:
        """Layers that begin anew, as a whole or in part; they learn whatever is frozen."""
        return {remark.layer for remark in self.left_out}

    def sentences(self) -> list[str]:
        """All of it for people, equal reasons together."""
        origin = f"from the bundle's {self.source}" if self.source else "as the bundle has no such stage"
        lines = [f"{self.stage}: {self.carried} of {self.layers} layers carried over {origin}"]
        for heading, remarks in (("not", self.left_out), ("adapted", self.adapted), ("unused", self.unused)):
            groups: dict[str, list[str]] = defaultdict(list)
            for remark in remarks:
                shape = remark.reason == "other shape" and len(remarks) > SHOWN  # every one has its own
                detail = f" ({remark.detail})" if remark.detail and not shape else ""
                groups[remark.reason + detail].append(remark.layer)
            for reason, names in groups.items():
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                lines.append(f"{self.stage}, {heading}: {', '.join(names[:SHOWN])}{more}: {reason}")
        return lines


def begin_from(stage: Learner, recipe: Recipe, source: Bundle, spec: TransferSpec) -> Transfer:
    """Give a new stage the weights of a bundle as far as they fit, in place.

    A layer is carried over when all its weights have the stage's shapes. Where only classes differ, their rows go by
    the class's name (the background to the background), and new classes keep their new rows. Image channels go by
    `gracile.learning.channels`.

    Args:
        stage: With the weights of a new network.
        recipe: Its recipe.
        source: The bundle.
        spec: What to take and what not.

    Raises:
        BundleError: The stage that ``spec`` names is not there, or nothing fits.
        RecipeError: ``spec`` names parts or layers that the network has not.
    """
    layers = layers_of(stage)
    try:
        requested = named_layers(layers, spec.reinitialize)
    except RecipeError as error:
        hint = f"For one stage alone it is set as stages.{stage.name}.train.transfer.reinitialize."
        raise RecipeError(f"Stage {stage.name!r}: {error.message}", f"{error.remedy} {hint}") from None
    transfer = Transfer(stage.name, layers=len(layers))
    name = spec.source or stage.name
    if name not in source.weights:
        if spec.source:
            there = ", ".join(source.weights)
            raise BundleError(f"The bundle to start from has no stage {name!r}.", f"It has: {there}.")
        transfer.left_out += [Remark(layer.name, "absent in the source") for layer in layers]
        return transfer
    transfer.source = name
    trained = _untrained(source, name)
    fit = _Fit(stage, trained, moves_of(source.recipe.input, recipe.input))
    state: dict[str, Tensor] = {}
    given = tensors_of(source.weights[name])
    counted = {layer.name for layer in layers}
    for layer, weights in _by_layer(_own(stage.bundle_state())).items():
        taken = _layer(layer, weights, given, fit, requested, transfer)
        transfer.carried += bool(taken) and layer in counted
        state |= taken
    if not transfer.carried and len(requested) < len(layers):
        raise BundleError(
            f"The weights of the bundle's stage {name!r} do not fit the stage {stage.name!r} in a single layer.",
            "Use the network that they were trained with, and its options.",
        )
    stage.load_state_dict(state, strict=False)
    stored, whole, offered = (_by_layer(s) for s in (stage.bundle_state(), stage.state_dict(), given))
    transfer.left_out += [Remark(layer, "not stored in a bundle") for layer in whole if layer not in stored]
    transfer.unused += [Remark(layer, "absent here") for layer in offered if layer not in stored]
    return transfer


def _untrained(source: Bundle, name: str) -> Learner:
    """The bundle's stage as it was built, to ask it what its weights stand for."""
    spec = next((spec for spec in source.recipe.stages if spec.name == name), None)
    if spec is None:
        raise BundleError(f"The bundle's recipe has no stage {name!r}.", "Copy the bundle again, or train it anew.")
    with torch.random.fork_rng():
        return build_learner(spec, source.recipe)


def _own(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without further names of weights that it holds already, as some networks register blocks twice."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    own = {}
    for name, value in state.items():
        place = (value.data_ptr(), tuple(value.shape))
        if place not in seen or not value.numel():
            own[name] = value
        seen.add(place)
    return own


def _by_layer(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Weights and statistics by the layer that holds them."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        layers.setdefault(name.rpartition(".")[0], {})[name] = value
    return layers


def _layer(
    layer: str,
    weights: dict[str, Tensor],
    given: Mapping[str, Tensor],
    fit: "_Fit",
    requested: Mapping[str, str],
    transfer: Transfer,
) -> dict[str, Tensor]:
    """The weights of one layer from those given, or nothing and the reason."""
    if not layer:
        transfer.left_out += [Remark(name, "chosen anew after training") for name in weights]
        return {}
    if layer in requested:
        transfer.left_out.append(Remark(layer, "re-initialized on request", requested[layer]))
        return {}
    if not any(name in given for name in weights):
        transfer.left_out.append(Remark(layer, "absent in the source"))
        return {}
    taken: dict[str, Tensor] = {}
    said: list[tuple[list[Remark], Remark]] = []
    for name, here in weights.items():
        value = given.get(name)
        fitted = None if value is None else fit.fitted(name, value, here)
        if fitted is None:
            sizes = f"{_size(value)} there, {_size(here)} here"
            transfer.left_out.append(Remark(layer, "other shape", sizes))
            return {}
        taken[name], remarks = fitted
        said += [(getattr(transfer, where), Remark(layer, reason, detail)) for where, reason, detail in remarks]
    for remarks_of, remark in said:
        if remark not in remarks_of:
            remarks_of.append(remark)
    return taken


def _size(value: Tensor | None) -> str:
    return "nothing" if value is None else " x ".join(str(length) for length in value.shape) or "one number"


class _Fit:
    """Brings single weights from one stage's classes and channels to another's.

    Args:
        here: The stage that begins.
        there: The stage that the weights were trained in.
        channels: What becomes of image channels there and here.
    """

    def __init__(self, here: Learner, there: Learner, channels: ChannelMoves) -> None:
        self.axes, self.axes_there = axes_of(here), axes_of(there)
        self.names, self.names_there = here.answer_names(), there.answer_names()
        self.channels = channels

    def fitted(self, name: str, there: Tensor, here: Tensor) -> tuple[Tensor, list[tuple[str, str, str]]] | None:
        """A weight in the other's shape, with remarks (which list, reason, detail); None where it does not fit."""
        axis = self.axes.get(name)
        known = axis is not None and self.axes_there.get(name) == axis and axis.each > 0
        if axis is not None and known and axis.of == "channels":
            return self._channels(axis, there, here)
        if axis is not None and known and self._names_fit(axis, there, here):
            return self._classes(axis, there, here)
        moved = axis is not None and axis.of == "classes" and self.names != self.names_there
        if moved or there.shape != here.shape:
            return None
        return there, []

    def _names_fit(self, axis: Axis, there: Tensor, here: Tensor) -> bool:
        lengths = [weight.shape[axis.dimension] for weight in (there, here)]
        return lengths == [axis.each * len(names) for names in (self.names_there, self.names)]

    def _channels(self, axis: Axis, there: Tensor, here: Tensor) -> tuple[Tensor, list[tuple[str, str, str]]] | None:
        moves = self.channels
        row = axis.each * axis.repeats * moves.before
        if _without(there, axis) != _without(here, axis) or there.shape[axis.dimension] != row:
            return None
        if moves.remarks or moves.before != moves.after:
            parts = there.movedim(axis.dimension, 0).unflatten(0, (axis.repeats, moves.before, axis.each))
            moved = moves.apply(parts).flatten(0, 2).movedim(0, axis.dimension).contiguous()
            return moved, list(moves.remarks)
        return there, []

    def _classes(self, axis: Axis, there: Tensor, here: Tensor) -> tuple[Tensor, list[tuple[str, str, str]]] | None:
        if _without(there, axis) != _without(here, axis):
            return None
        rows_there = there.movedim(axis.dimension, 0).unflatten(0, (len(self.names_there), axis.each))
        value = here.detach().clone()
        rows = value.movedim(axis.dimension, 0).unflatten(0, (len(self.names), axis.each))
        for index, name in enumerate(self.names):
            if name in self.names_there:
                rows[index] = rows_there[self.names_there.index(name)]
        new = [name for name in self.names if name not in self.names_there]
        gone = [name for name in self.names_there if name not in self.names]
        remarks = [("left_out", "new class", ", ".join(new))] if new else []
        return value, remarks + ([("unused", "class that is not here", ", ".join(gone))] if gone else [])


def _without(weight: Tensor, axis: Axis) -> Sequence[int]:
    """The shape apart from an axis."""
    return [length for dimension, length in enumerate(weight.shape) if dimension != axis.dimension]
