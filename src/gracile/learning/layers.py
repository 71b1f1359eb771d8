"""The layers of a stage in the order from the image to the answer, and how a part or some of them are named."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from gracile.errors import RecipeError
from gracile.learning.learners import Learner
from gracile.networks.anatomy import PARTS, Axis, anatomy_of
from gracile.networks.libraries import AnySize

HEAD = "head"


@dataclass(frozen=True)
class Layer:
    """A module of a stage that has weights of its own.

    Args:
        name: Its name in the stage, such as ``network.decoder.0.1``.
        own: Its name in its network or its library's, such as ``decoder.0.1``.
        part: Part of the network that it belongs to; empty where the network names none.
        module: The module.
        answers: Whether it answers classes.
    """

    name: str
    own: str
    part: str
    module: nn.Module
    answers: bool = False

    @property
    def counts(self) -> bool:
        """Whether it counts as a layer; a normalization or an activation counts to the one before it."""
        return any(weight.ndim > 1 for weight in self.module.parameters(recurse=False))


def layers_of(stage: Learner) -> list[Layer]:
    """The layers that a bundle of the stage stores, in the order of its networks' blocks.

    What no block names keeps the order in which it was built, behind the others.
    """
    stored = {name.rpartition(".")[0] for name in stage.bundle_state()}
    layers: list[Layer] = []
    for child, network in stage.named_children():
        anatomy = anatomy_of(network)
        answering = {a.weight.rpartition(".")[0] for a in anatomy.axes if a.of == "classes" and a.dimension == 0}
        some: list[tuple[int, Layer]] = []
        for own, module in network.named_modules():
            name = f"{child}.{own}" if own else child
            if name not in stored or not any(True for _ in module.parameters(recurse=False)):
                continue
            place = next((i for i, (block, _) in enumerate(anatomy.blocks) if f"{own}.".startswith(f"{block}.")), None)
            part = "" if place is None else anatomy.blocks[place][1]
            shown = own.removeprefix("network.") if isinstance(network, AnySize) else own
            layer = Layer(name, shown, part, module, own in answering)
            some.append((len(anatomy.blocks) if place is None else place, layer))
        layers += [layer for _, layer in sorted(some, key=lambda entry: entry[0])]
    return layers


def axes_of(stage: Learner) -> dict[str, Axis]:
    """Where classes and channels lie in the weights of a stage, by the weight's name in it."""
    axes: dict[str, Axis] = {}
    for child, network in stage.named_children():
        axes |= {axis.weight: axis for axis in anatomy_of(network).inside(child).axes}
    return axes


def named_layers(layers: Sequence[Layer], names: Sequence[str]) -> dict[str, str]:
    """The layers that some names mean, each with the name that first meant it.

    Args:
        layers: All layers of a stage.
        names: Parts of the network, ``head`` for the layers that answer classes, or patterns (``*`` and ``?``) of
            layers or of the blocks that hold them.

    Raises:
        RecipeError: A name means no layer; says which there are.
    """
    found: dict[str, str] = {}
    for name in names:
        meant = [layer for layer in layers if _means(name, layer)]
        if not meant:
            raise _unknown(layers, name)
        for layer in meant:
            found.setdefault(layer.name, name)
    return found


def _means(name: str, layer: Layer) -> bool:
    if name == HEAD:
        return layer.answers
    return layer.part == name if name in PARTS else _matches(layer, name)


def _matches(layer: Layer, pattern: str) -> bool:
    """Whether a pattern fits a layer or a block around it."""
    for path in (layer.name, layer.own):
        parts = path.split(".")
        if any(fnmatchcase(".".join(parts[: depth + 1]), pattern) for depth in range(len(parts))):
            return True
    return False


def _unknown(layers: Sequence[Layer], name: str) -> RecipeError:
    parts = dict.fromkeys(layer.part for layer in layers if layer.part)
    if name in PARTS:
        there = f"It names: {', '.join(parts)}." if parts else "Give patterns of its layers."
        message = f"This network names no part {name!r}."
        return RecipeError(message, f"{there} Its layers are: {_listed(layers)}.")
    close = difflib.get_close_matches(name, [*PARTS, HEAD, *(layer.own for layer in layers)], n=3)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return RecipeError(f"No layer is named {name!r}.", f"{hint}The layers are: {_listed(layers)}.")


def _listed(layers: Sequence[Layer]) -> str:
    """Every layer by the pattern of its block, with how many there are of it."""
    blocks: dict[str, int] = {}
    for layer in layers:
        parts = layer.own.split(".")
        depth = 2 if len(parts) > 2 else 1
        block = ".".join(parts[:depth]) + (".*" if len(parts) > depth else "")
        blocks[block] = blocks.get(block, 0) + 1
    return ", ".join(f"{block} ({count})" if count > 1 else block for block, count in blocks.items())
