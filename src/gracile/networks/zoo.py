"""Builds any network by name: ours, segmentation-models-pytorch's and MONAI's."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError, nearest, require_options
from gracile.names import NETWORKS
from gracile.networks.anatomy import Anatomy, library_anatomy


def build_network(name: str, in_channels: int, out_channels: int, *, initial: str = "", **options: Any) -> nn.Module:
    """Build a network that maps images to logits.

    Args:
        name: A name of `gracile.names.NETWORKS`; ``smp:Unet:resnet18`` for a decoder and encoder of
            segmentation-models-pytorch; ``monai:UNet`` for a class of `monai.networks.nets`.
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        initial: Weights to begin with: a file for ``double-unet``, a name of segmentation-models-pytorch such as
            ``imagenet`` for its encoders. Empty leaves the weights at random; needed to train, never to load a bundle.
        options: Handed to the network's constructor.

    Raises:
        RecipeError: Unknown name or option, with the nearest ones; or weights that this network does not take or that
            cannot be had.
    """
    library, _, rest = name.partition(":")
    if initial and name != "double-unet" and library != "smp":
        raise RecipeError(f"The network {name!r} takes no first weights.", "Leave `initial` out; --from takes bundles.")
    try:
        if name in NETWORKS:
            kind = NETWORKS[name].load()
            require_options(f"network {name!r}", kind, options, ("in_channels", "out_channels"))
            return kind(in_channels, out_channels, **options, **({"weights": initial} if initial else {}))
        if library == "smp":
            return _smp(rest, in_channels, out_channels, initial, options)
        if library == "monai":
            return _monai(rest, in_channels, out_channels, options)
    except (TypeError, KeyError, ValueError) as error:
        raise RecipeError(f"The network {name!r} cannot be built: {error}.", "Check its options.") from None
    raise RecipeError(f"There is no network {name!r}.", nearest(name, [*NETWORKS, "smp:Unet:resnet18", "monai:UNet"]))


class AnySize(nn.Module):
    """Lets a network of a library take images of any size: pads them to a multiple of 32 and cuts the answer back.

    Args:
        build: Builds the library's network with random weights for a number of channels and one of classes.
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        network: The network itself, where it has weights to begin with.
    """

    multiple = 32

    def __init__(
        self,
        build: Callable[[int, int], nn.Module],
        in_channels: int,
        out_channels: int,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network = build(in_channels, out_channels) if network is None else network
        self._build = build
        self._sizes = (in_channels, out_channels)
        self._anatomy: Anatomy | None = None

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """``(batch, channels, height, width)`` images to logits of their size, or to a list where there are several."""
        height, width = images.shape[-2:]
        answer = self.network(functional.pad(images, (0, -width % self.multiple, 0, -height % self.multiple)))
        if isinstance(answer, list | tuple):
            return [part[..., :height, :width] for part in answer]
        return answer[..., :height, :width]

    def anatomy(self) -> Anatomy:
        """What can be said of the library's network."""
        if self._anatomy is None:  # it takes building the network twice
            self._anatomy = library_anatomy(self.network, self._build, *self._sizes).inside("network")
        return self._anatomy


def _smp(rest: str, in_channels: int, out_channels: int, initial: str, options: dict[str, Any]) -> nn.Module:
    import segmentation_models_pytorch as smp

    decoder, _, encoder = rest.partition(":")
    decoders = {n: c for n, c in vars(smp).items() if inspect.isclass(c) and issubclass(c, nn.Module)}
    if decoder not in decoders:
        raise RecipeError(f"There is no decoder {decoder!r}.", nearest(decoder, decoders))
    # Only timm's encoders take further options; others pass them over.
    given = ("in_channels", "classes", "encoder_name", "encoder_weights")
    require_options(f"network 'smp:{rest}'", decoders[decoder], options, given, further=encoder.startswith("tu-"))
    settings = {"encoder_name": encoder or "resnet18", **options}

    def build(channels: int, classes: int, weights: str | None = None) -> nn.Module:
        return decoders[decoder](in_channels=channels, classes=classes, encoder_weights=weights, **settings)

    try:
        return AnySize(build, in_channels, out_channels, build(in_channels, out_channels, initial or None))
    except OSError as error:
        raise RecipeError(
            f"The weights {initial!r} of {encoder!r} cannot be fetched: {str(error).splitlines()[0]}",
            "They come from the library's hub, once; without a connection, leave `initial` out.",
        ) from None


def _monai(rest: str, in_channels: int, out_channels: int, options: dict[str, Any]) -> nn.Module:
    from monai.networks import nets

    if not hasattr(nets, rest):
        raise RecipeError(f"MONAI has no network {rest!r}.", nearest(rest, [n for n in dir(nets) if n[0].isupper()]))
    kind = getattr(nets, rest)
    require_options(f"network 'monai:{rest}'", kind, options, ("in_channels", "out_channels"))
    return AnySize(lambda channels, classes: kind(in_channels=channels, out_channels=classes, **options),
                   in_channels, out_channels)  # fmt: skip
