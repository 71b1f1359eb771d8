"""Builds any network by name: ours, segmentation-models-pytorch's and MONAI's."""

from typing import Any

from torch import nn

from gracile.errors import GracileError, RecipeError, nearest, require_options
from gracile.extensions import ALL_NETWORKS, Added
from gracile.names import MONAI_NETWORKS, NETWORKS, PICTURES, Kind, takes_first_weights
from gracile.networks.added import added_network
from gracile.networks.libraries import monai_network, smp_network


def build_network(
    name: str, in_channels: int, out_channels: int, /, *, initial: str = "", dimensions: int = 0, **options: Any
) -> nn.Module:
    """Build a network that maps images to logits.

    Args:
        name: A name of `gracile.names.NETWORKS`, or one that a package adds; ``smp:Unet:resnet18`` for a decoder and
            encoder of segmentation-models-pytorch; ``monai:UNet`` for a class of `gracile.names.MONAI_NETWORKS`.
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
    if library not in ("smp", "monai") and name not in ALL_NETWORKS:
        libraries = ["smp:Unet:resnet18", *(f"monai:{known}" for known in MONAI_NETWORKS)]
        raise RecipeError(f"There is no network {name!r}.", nearest(name, [*ALL_NETWORKS, *libraries]))
    if initial and not takes_first_weights(name):
        raise RecipeError(f"The network {name!r} takes no first weights.", "Leave `initial` out; --from takes bundles.")
    if dimensions and library != "monai" and _KINDS[dimensions] not in _inputs(name):
        raise RecipeError(f"The network {name!r} does not take {_SEEN[dimensions]}.", _OTHERS[dimensions])
    try:
        if library == "smp":
            return smp_network(rest, in_channels, out_channels, initial, options)
        if library == "monai":
            return monai_network(rest, in_channels, out_channels, dimensions, options)
        entry = ALL_NETWORKS[name]
        if isinstance(entry, Added):
            return added_network(entry, in_channels, out_channels, options)
        kind = entry.load()
        require_options(f"network {name!r}", kind, options, ("in_channels", "out_channels"))
        return kind(in_channels, out_channels, **options, **({"weights": initial} if initial else {}))
    except GracileError:
        raise
    except ImportError as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"The network {name!r} needs another package: {reason}", "Install it with pip.") from None
    except Exception as error:  # whatever a library raises for options that do not fit each other
        reason = str(error) or "it gives no reason"
        raise RecipeError(f"The network {name!r} cannot be built: {reason}.", "Check its options.") from None


_KINDS: dict[int, Kind] = {2: "image", 3: "volume"}

_SEEN = {2: "pictures", 3: "volumes"}

_FOR_VOLUMES = [name for name, entry in NETWORKS.items() if "volume" in entry.inputs]

_OTHERS = {
    2: f"Take another than {' and '.join(_FOR_VOLUMES)}; those see volumes.",
    3: f"Take {' or '.join(_FOR_VOLUMES)} or monai:CLASS, or state `slices` where the stage has them.",
}


def _inputs(name: str) -> tuple[Kind, ...]:
    """What a network sees; those of segmentation-models-pytorch see pictures."""
    return PICTURES if name.startswith("smp:") else ALL_NETWORKS[name].sees()
