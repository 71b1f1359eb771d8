"""Which layers of a network can be looked into, and a network as captum needs it."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gracile.errors import UsageError


def explainable_layers(network: nn.Module, image: Tensor) -> list[str]:
    """Names of the layers whose answer is a map, in the order in which they finish; the last is the usual choice.

    Args:
        network: ``(batch, channels, height, width)`` images to ``(batch, classes)`` logits.
        image: ``(1, channels, height, width)`` float32.
    """
    return [name for name, shape in _shapes(network, image).items() if _is_map(shape)]


def find_layer(network: nn.Module, image: Tensor, name: str = "") -> tuple[str, nn.Module]:
    """A layer by name, the last explainable one when the name is empty.

    Raises:
        UsageError: There is no such layer (with the nearest names), or its answer is no map, as in a transformer's
            blocks, whose answers are tokens.
    """
    shapes = _shapes(network, image)
    maps = [layer for layer, shape in shapes.items() if _is_map(shape)]
    if not maps:
        raise UsageError("No layer of this network answers maps.", "Use --method saliency, which needs none.")
    chosen = name or maps[-1]
    if chosen in maps:
        return chosen, network.get_submodule(chosen)
    if chosen in shapes:
        shape = " x ".join(str(length) for length in shapes[chosen]) or "no tensor"
        raise UsageError(
            f"The layer {chosen!r} answers no maps (batch x channels x height x width), but {shape}.",
            f"Maps give, for example: {', '.join(maps[-5:])}.",
        )
    near = difflib.get_close_matches(chosen, maps, n=3, cutoff=0.4)
    raise UsageError(
        f"There is no layer {chosen!r}.",
        f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(maps)}.",
    )


@contextmanager
def ready(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode with gradients on and nothing done in place; put back as it was afterwards.

    In place, an activation overwrites the answer of the layer before it, and hooks on its gradient fail.
    """
    was_training = {module: module.training for module in network.modules()}
    in_place = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    network.eval()
    for module in in_place:
        vars(module)["inplace"] = False
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield network
    finally:
        for module in in_place:
            vars(module)["inplace"] = True
        for module, training in was_training.items():
            module.training = training


def _shapes(network: nn.Module, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Shape of each layer's answer, in the order in which they finish; empty for what is no single tensor."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, answer: object) -> None:
        shapes.pop(name, None)  # a layer that is used twice stands where it finishes last
        shapes[name] = tuple(answer.shape) if isinstance(answer, Tensor) else ()

    handles = [
        module.register_forward_hook(lambda _module, _inputs, answer, name=name: note(name, answer))
        for name, module in network.named_modules()
        if name and not isinstance(module, nn.Identity | nn.Dropout)
    ]
    try:
        with ready(network), torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _is_map(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(shape[2:]) > 1
