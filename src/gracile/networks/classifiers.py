"""Builds any classification network by name, from timm or torchvision."""

import difflib
import logging
from pathlib import Path
from typing import Any

from torch import nn

from gracile.errors import RecipeError
from gracile.networks.map_classifier import MapClassifier
from gracile.networks.zoo import build_network

log = logging.getLogger(__name__)

MAP = "map:"
"""What stands before the name of a network that delineates where a gate pools its map."""


def build_classifier(name: str, in_channels: int, classes: int, *, initial: str = "", **options: Any) -> nn.Module:
    """Build a network that maps ``(batch, in_channels, height, width)`` images to ``(batch, classes)`` logits.

    Args:
        name: ``timm:densenet201`` or just ``densenet201`` for a network of timm; ``torchvision:squeezenet1_1`` for one
            of `torchvision.models`; ``map:light-unet`` for a network that delineates, whose map is pooled.
        in_channels: Channels of the image.
        classes: Number of classes.
        initial: Weights to begin with: a local file of the library's weights, or ``pretrained`` for its own hub. Where
            the hub is out of reach this is said, and training begins from random weights.
        options: Handed to the network's constructor.

    Raises:
        RecipeError: Unknown name or option, with the nearest names; or a file that does not fit.
    """
    library, _, rest = name.rpartition(":")
    if name.startswith(MAP):
        return _map(name.removeprefix(MAP), in_channels, classes, initial, options)
    build = {"": _timm, "timm": _timm, "torchvision": _torchvision}.get(library)
    if build is None:
        raise RecipeError(
            f"There is no library {library!r} of classifiers.", "Write timm:NAME, torchvision:NAME or map:NAME."
        )
    if initial and initial != "pretrained" and not Path(initial).is_file():
        raise RecipeError(
            f"There is no file {initial} of weights.", "Name a local file, `pretrained`, or leave it out."
        )
    try:
        return build(rest, in_channels, classes, initial, options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"The network {name!r} cannot be built: {error}.", "Check its options.") from None


def _map(name: str, in_channels: int, classes: int, initial: str, options: dict[str, Any]) -> nn.Module:
    if classes != 2:
        raise RecipeError(f"A map tells absent from present, not {classes} kinds apart.", "Choose another network.")
    return MapClassifier(build_network(name, in_channels, 1, initial=initial, **options))


def _timm(name: str, in_channels: int, classes: int, initial: str, options: dict[str, Any]) -> nn.Module:
    import timm

    if name not in timm.list_models():
        raise _unknown(name, timm.list_models())
    settings = {"in_chans": in_channels, "num_classes": classes, **options}
    if not initial:
        return timm.create_model(name, **settings)
    if initial != "pretrained":
        _require_fit(name, initial, timm.create_model(name))
    overlay: dict[str, Any] = {} if initial == "pretrained" else {"pretrained_cfg_overlay": {"file": initial}}
    try:
        return timm.create_model(name, pretrained=True, **overlay, **settings)
    except OSError as error:
        return _from_random(name, error, timm.create_model(name, **settings))


def _require_fit(name: str, initial: str, network: nn.Module) -> None:
    """Raise ValueError for a file of another network's weights; timm would pass them over and stay random."""
    from timm.models import load_state_dict

    given = load_state_dict(initial)
    fitting = [k for k, v in network.state_dict().items() if k in given and given[k].shape[1:] == v.shape[1:]]
    if len(fitting) < len(network.state_dict()) / 2:
        raise ValueError(f"{initial} holds the weights of another network than {name}")


def _torchvision(name: str, in_channels: int, classes: int, initial: str, options: dict[str, Any]) -> nn.Module:
    import torch
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise _unknown(name, names)
    if not initial:
        return _for_channels(models.get_model(name, weights=None, num_classes=classes, **options), in_channels)
    try:
        network = models.get_model(name, weights="DEFAULT" if initial == "pretrained" else None, **options)
    except OSError as error:
        fresh = models.get_model(name, weights=None, num_classes=classes, **options)
        return _from_random(name, error, _for_channels(fresh, in_channels))
    if initial != "pretrained":
        network.load_state_dict(torch.load(initial, map_location="cpu", weights_only=True))
    return _for_channels(_for_classes(network, classes), in_channels)


def _from_random(name: str, error: OSError, network: nn.Module) -> nn.Module:
    log.warning("The pretrained weights of %s cannot be fetched (%s): training begins from random weights.", name,
                str(error).splitlines()[0])  # fmt: skip
    return network


def _for_channels(network: nn.Module, in_channels: int) -> nn.Module:
    """The network with a first convolution for other than three channels, which sees their mean alike."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == in_channels:
        return network
    other = nn.Conv2d(
        in_channels, first.out_channels, first.kernel_size, first.stride, first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )  # fmt: skip
    mean = first.weight.data.sum(dim=1, keepdim=True) / in_channels
    other.weight.data.copy_(mean.expand(-1, in_channels, -1, -1))
    if first.bias is not None and other.bias is not None:
        other.bias.data.copy_(first.bias.data)
    _replace(network, name, other)
    return network


def _for_classes(network: nn.Module, classes: int) -> nn.Module:
    """The network with an untrained last layer for another number of classes."""
    heads = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    name, last = heads[-1]
    other: nn.Module
    if isinstance(last, nn.Linear):
        other = nn.Linear(last.in_features, classes)
    else:
        other = nn.Conv2d(last.in_channels, classes, last.kernel_size)  # type: ignore[arg-type]
    _replace(network, name, other)
    return network


def _replace(network: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, part)


def _unknown(name: str, names: list[str]) -> RecipeError:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    return RecipeError(f"There is no network {name!r}.", f"Did you mean {' or '.join(close) or 'resnet18'}?")
