"""Builds any network by name: ours, segmentation-models-pytorch's and MONAI's."""

import importlib
from typing import Any

from torch import nn

from gracile.errors import GracileError, RecipeError, nearest, require_options
from gracile.names import MONAI_NETWORKS, NETWORKS, VOLUME_NETWORKS
from gracile.networks.libraries import monai_network, smp_network

OWN: dict[str, tuple[str, str]] = {
    "refining-unet": ("gracile.networks.refining_unet", "RefiningUNet"),
    "fusion-av": ("gracile.networks.fusion", "FusionGenerator"),
    "unet": ("gracile.networks.unet", "UNet"),
    "attention-unet": ("gracile.networks.attention", "AttentionUNet"),
    "r2u-net": ("gracile.networks.attention", "R2UNet"),
    "r2-attention-unet": ("gracile.networks.attention", "R2AttentionUNet"),
    "res-unet": ("gracile.networks.res_unet", "ResUNet"),
    "multires-unet": ("gracile.networks.multires_unet", "MultiResUNet"),
    "double-unet": ("gracile.networks.double_unet", "DoubleUNet"),
    "light-unet": ("gracile.networks.light_unet", "LightUNet"),
    "light-unet-3d": ("gracile.networks.light_unet_3d", "LightUNet3d"),
    "unet-3d": ("gracile.networks.unet_3d", "UNet3d"),
    "unet-discriminator": ("gracile.networks.fusion", "UNetDiscriminator"),
}
"""Module and class of each network of our own; each takes ``in_channels`` and ``out_channels`` first."""


def build_network(
    name: str, in_channels: int, out_channels: int, /, *, initial: str = "", dimensions: int = 0, **options: Any
) -> nn.Module:
    """Build a network that maps images to logits.

    Args:
        name: A name of `gracile.names.NETWORKS`; ``smp:Unet:resnet18`` for a decoder and encoder of
            segmentation-models-pytorch; ``monai:UNet`` for a class of `gracile.names.MONAI_NETWORKS`.
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        initial: Weights to begin with: a file for ``double-unet``, a name of segmentation-models-pytorch such as
            ``imagenet`` for its encoders. Empty leaves the weights at random; needed to train, never to load a bundle.
        dimensions: 2 for pictures, 3 for volumes; 0 where the caller does not say.
        options: Handed to the network's constructor.

    Raises:
        RecipeError: Unknown name or option, with the nearest ones; an option that is missing; a network for pictures
            where a volume is seen; or weights that this network does not take or that cannot be had.
    """
    library, _, rest = name.partition(":")
    if name not in OWN and library not in ("smp", "monai"):
        libraries = ["smp:Unet:resnet18", *(f"monai:{known}" for known in MONAI_NETWORKS)]
        raise RecipeError(f"There is no network {name!r}.", nearest(name, [*NETWORKS, *libraries]))
    if initial and name != "double-unet" and library != "smp":
        raise RecipeError(f"The network {name!r} takes no first weights.", "Leave `initial` out; --from takes bundles.")
    if dimensions and library != "monai" and (name in VOLUME_NETWORKS) != (dimensions == 3):
        raise RecipeError(f"The network {name!r} does not take {_SEEN[dimensions]}.", _OTHERS[dimensions])
    try:
        if library == "smp":
            return smp_network(rest, in_channels, out_channels, initial, options)
        if library == "monai":
            return monai_network(rest, in_channels, out_channels, dimensions, options)
        module, attribute = OWN[name]
        kind = getattr(importlib.import_module(module), attribute)
        require_options(f"network {name!r}", kind, options, ("in_channels", "out_channels"))
        return kind(in_channels, out_channels, **options, **({"weights": initial} if initial else {}))
    except GracileError:
        raise
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"The network {name!r} needs another package: {reason}", "Install it with pip.") from None
    except Exception as error:  # whatever a library raises for options that do not fit each other
        reason = str(error) or type(error).__name__
        raise RecipeError(f"The network {name!r} cannot be built: {reason}.", "Check its options.") from None


_SEEN = {2: "pictures", 3: "volumes"}

_OTHERS = {
    2: f"Take another than {' and '.join(VOLUME_NETWORKS)}; those see volumes.",
    3: f"Take {' or '.join(VOLUME_NETWORKS)} or monai:CLASS, or state `slices` where the stage has them.",
}
