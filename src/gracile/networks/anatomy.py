"""What a network says of its own build: its parts in the order of the flow, and which weights stand for what."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

Part = Literal["contracting", "bottleneck", "expanding"]

PARTS: tuple[Part, ...] = ("contracting", "bottleneck", "expanding")
"""The parts of a U-shaped network; the expanding one includes what gives the answer."""


@dataclass(frozen=True)
class Axis:
    """An axis of a weight along which classes or image channels lie.

    Args:
        weight: Name of the weight in the network's state.
        of: What lies along it.
        dimension: Which axis it is.
        each: Neighbors that each class or channel takes, all of the first before those of the second, as a
            pixel-shuffle reads them; 0 where this is not known.
        repeats: How many times all of them come, one row after another, as the channels of neighboring slices do.
    """

    weight: str
    of: Literal["classes", "channels"]
    dimension: int
    each: int = 1
    repeats: int = 1


@dataclass(frozen=True)
class Anatomy:
    """A network's build as data.

    Args:
        blocks: Module names with their part, in the order in which an image flows through them. Empty where the
            network has no such parts.
        axes: Where classes and image channels lie in its weights.
    """

    blocks: tuple[tuple[str, Part], ...] = ()
    axes: tuple[Axis, ...] = ()

    def inside(self, module: str) -> "Anatomy":
        """The same for a network that is held as a module of that name."""
        return Anatomy(
            tuple((f"{module}.{name}", part) for name, part in self.blocks),
            tuple(replace(axis, weight=f"{module}.{axis.weight}") for axis in self.axes),
        )


def answers(*layers: str, each: int = 1) -> tuple[Axis, ...]:
    """The axes of layers that answer classes: the first of weight and bias."""
    return tuple(Axis(f"{layer}.{name}", "classes", 0, each) for layer in layers for name in ("weight", "bias"))


def looks(*layers: str, each: int = 1) -> tuple[Axis, ...]:
    """The axes of convolutions that see the image: the second of the weight."""
    return tuple(Axis(f"{layer}.weight", "channels", 1, each) for layer in layers)


def in_part(part: Part, names: Sequence[str]) -> list[tuple[str, Part]]:
    """Blocks of one part, in their order."""
    return [(name, part) for name in names]


def anatomy_of(network: nn.Module) -> Anatomy:
    """What a network says of itself; of a library's classifier, where it sees the image and where it answers."""
    own: Callable[[], Anatomy] | None = getattr(network, "anatomy", None)
    if callable(own):
        return own()
    settings = getattr(network, "default_cfg", None) or {}
    names = list(network.state_dict())
    if settings.get("classifier") and settings.get("first_conv"):  # a network of timm
        last, first = (_listed(settings[key]) for key in ("classifier", "first_conv"))
    else:
        layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Conv3d)]
        first = [next((name for name, layer in layers if not isinstance(layer, nn.Linear)), "")]
        last = [layers[-1][0]] if layers else []
    axes = (*looks(*first), *answers(*last))
    return Anatomy(axes=tuple(axis for axis in axes if axis.weight in names))


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def library_anatomy(network: nn.Module, build: Callable[[int, int], nn.Module], channels: int, classes: int) -> Anatomy:
    """Parts of a library's network by the library's own names, and axes found by building it for other numbers.

    Args:
        network: The network.
        build: Builds it anew, with random weights, for a number of channels and one of classes.
        channels: Channels it was built for.
        classes: Classes it was built for.
    """
    with torch.random.fork_rng():
        shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
        axes = [
            *_moved(shapes, build(channels + 1, classes), "channels", channels),
            *_moved(shapes, build(channels, classes + 1), "classes", classes),
        ]
    present = {name for name, _ in network.named_modules()}
    return Anatomy(tuple(block for block in _library_blocks(network) if block[0] in present), tuple(axes))


def _moved(
    shapes: dict[str, tuple[int, ...]], other: nn.Module, of: Literal["classes", "channels"], count: int
) -> Iterator[Axis]:
    """Axes whose length follows a number. How several entries for each lie cannot be seen from their count."""
    for name, weight in other.state_dict().items():
        shape = shapes.get(name, ())
        if len(shape) != weight.ndim:
            continue
        for dimension, (length, now) in enumerate(zip(shape, weight.shape, strict=True)):
            if length != now:
                yield Axis(name, of, dimension, 1 if (length, now) == (count, count + 1) else 0)


_MONAI: dict[str, dict[Part, list[str]]] = {
    "BasicUNet": {
        "contracting": ["conv_0", "down_1", "down_2", "down_3"],
        "bottleneck": ["down_4"],
        "expanding": ["upcat_4", "upcat_3", "upcat_2", "upcat_1", "final_conv"],
    },
    "DynUNet": {
        "contracting": ["input_block", "downsamples"],
        "bottleneck": ["bottleneck"],
        "expanding": ["upsamples", "deep_supervision_heads", "output_block"],
    },
    "SegResNet": {
        "contracting": ["convInit", "down_layers"],
        "expanding": [f"{kind}.{level}" for level in range(8) for kind in ("up_samples", "up_layers")] + ["conv_final"],
    },
}
"""Blocks of networks of MONAI by their class."""


def _library_blocks(network: nn.Module) -> list[tuple[str, Part]]:
    kind = type(network).__name__ if type(network).__module__.startswith("monai.") else ""
    if hasattr(network, "segmentation_head"):  # every network of segmentation-models-pytorch
        return [*in_part("contracting", ["encoder"]), *in_part("expanding", ["decoder", "segmentation_head"])]
    if kind in _MONAI:
        return [block for part, names in _MONAI[kind].items() for block in in_part(part, names)]
    if kind == "UNet":  # of MONAI: each level holds the next one
        down: list[str] = []
        up: list[str] = []
        name = "model"
        present = {module for module, _ in network.named_modules()}
        while f"{name}.1.submodule" in present:
            down.append(f"{name}.0")
            up.insert(0, f"{name}.2")
            name += ".1.submodule"
        return [*in_part("contracting", down), *in_part("bottleneck", [name]), *in_part("expanding", up)]
    return []
