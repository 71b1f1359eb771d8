"""Networks of segmentation-models-pytorch and of MONAI, for images of any size."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError, nearest, require_options
from gracile.names import MONAI_NETWORKS
from gracile.networks.anatomy import Anatomy, library_anatomy

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Needs:
    """What a library's network asks of its images, and how it answers.

    Args:
        multiple: Samples along each axis of which a size must be a multiple; one number holds for all axes.
        least: Samples along each axis that it asks for.
        fixed: Whether a size must be `multiple` itself.
        more_than_one: Whether its coarsest resolution must have more than one sample, as its normalization asks.
        finest_first: Whether the final one of several answers is the first.
    """

    multiple: tuple[int, ...] = (32,)
    least: int = 1
    fixed: bool = False
    more_than_one: bool = False
    finest_first: bool = False

    def padding(self, sizes: Sequence[int]) -> list[int]:
        """Samples that are missing behind the last one of each axis.

        Raises:
            RecipeError: The network takes images of one size, and these are larger.
        """
        multiple = self.multiple * len(sizes) if len(self.multiple) == 1 else self.multiple
        if self.fixed and any(size > own for size, own in zip(sizes, multiple, strict=True)):
            raise RecipeError(
                f"The network takes {_by(multiple)} samples at most, not {_by(sizes)}.",
                "Set img_size in its options to the size of the stage's patches.",
            )
        # No `max`: an exported network does not know its sizes.
        wanted = [self.least if self.least > 1 and size < self.least else size for size in sizes]
        missing = [full - size + -full % own for full, size, own in zip(wanted, sizes, multiple, strict=True)]
        if self.more_than_one and all(size <= own for size, own in zip(sizes, multiple, strict=True)):
            missing[0] += multiple[0]
        return missing


class AnySize(nn.Module):
    """Lets a network of a library take images of any size: pads them with zeros behind and cuts the answers back.

    While it trains, a network that answers at several depths gives a list of logits of the images' own size, the final
    ones last; applied, the final ones alone.

    Args:
        build: Builds the library's network with random weights for a number of channels and one of classes.
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        needs: What the network asks of its images.
        network: The network itself, where it was built before.
    """

    def __init__(
        self,
        build: Callable[[int, int], nn.Module],
        in_channels: int,
        out_channels: int,
        needs: Needs,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network = build(in_channels, out_channels) if network is None else network
        self.needs = needs
        self._build = build
        self._sizes = (in_channels, out_channels)
        self._anatomy: Anatomy | None = None

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        """``(batch, channels, *spatial)`` images to logits of their size, or to a list where there are several."""
        sizes = images.shape[2:]
        padding = [side for missing in reversed(self.needs.padding(sizes)) for side in (0, missing)]
        padded = functional.pad(images, padding)
        answers = self._listed(self.network(padded), images.ndim)
        if not self.training:
            answers = answers[-1:]
        inside = tuple(slice(size) for size in sizes)
        logits = [_enlarged(answer, padded.shape[2:])[(slice(None), slice(None), *inside)] for answer in answers]
        return logits[0] if len(logits) == 1 else logits

    def _listed(self, answers: Tensor | Sequence[Tensor], axes: int) -> list[Tensor]:
        """All answers, the final one last."""
        if isinstance(answers, Tensor):
            answers = answers.unbind(dim=1) if answers.ndim > axes else [answers]
        return list(reversed(answers)) if self.needs.finest_first else list(answers)

    def anatomy(self) -> Anatomy:
        """What can be said of the library's network."""
        if self._anatomy is None:  # it takes building the network twice
            self._anatomy = library_anatomy(self.network, self._build, *self._sizes).inside("network")
        return self._anatomy


def _enlarged(answer: Tensor, sizes: Sequence[int]) -> Tensor:
    if answer.shape[2:] == sizes:
        return answer
    mode = "bilinear" if len(sizes) == 2 else "trilinear"
    return functional.interpolate(answer, tuple(sizes), mode=mode, align_corners=False)


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)


def smp_network(rest: str, in_channels: int, out_channels: int, initial: str, options: Options) -> nn.Module:
    """``DECODER:ENCODER`` of segmentation-models-pytorch, for pictures."""
    import segmentation_models_pytorch as smp

    decoder, _, encoder = rest.partition(":")
    decoders = {n: c for n, c in vars(smp).items() if inspect.isclass(c) and issubclass(c, nn.Module)}
    if decoder not in decoders:
        raise RecipeError(f"There is no decoder {decoder!r}.", nearest(decoder, list(decoders)))
    encoders = smp.encoders.encoders
    if encoder and encoder not in encoders and not encoder.startswith(("tu-", "timm-")):  # those are timm's
        raise RecipeError(f"There is no encoder {encoder!r}.", nearest(encoder, encoders))
    kind = decoders[decoder]
    # An auxiliary output would be a second answer that is no map. Of the encoders, timm's alone take further options;
    # others would pass them over in silence.
    given = ("in_channels", "classes", "encoder_name", "encoder_weights", "aux_params")
    require_options(f"network 'smp:{rest}'", kind, options, given, further=encoder.startswith("tu-"))
    settings = {"encoder_name": encoder or "resnet18", **options}

    def build(channels: int, classes: int, weights: str | None = None) -> nn.Module:
        return kind(in_channels=channels, classes=classes, encoder_weights=weights, **settings)

    try:
        network = build(in_channels, out_channels, initial or None)
    except OSError as error:
        raise RecipeError(
            f"The weights {initial!r} of {encoder!r} cannot be fetched: {str(error).splitlines()[0]}",
            "They come from the library's hub, once; without a connection, leave `initial` out.",
        ) from None
    stride = int(getattr(network.encoder, "output_stride", 32))
    return AnySize(build, in_channels, out_channels, Needs((math.lcm(32, stride),), _LEAST.get(decoder, 1)), network)


_LEAST = {"PAN": 128}
"""Pixels along each axis that a decoder asks for, where pictures of one step are too small."""


def _powers(count: int) -> Callable[[nn.Module, Options], tuple[int, ...]]:
    return lambda network, options: (2**count,)


def _strides(network: nn.Module, options: Options) -> tuple[int, ...]:
    """The product of the strides, along each axis where they differ."""
    strides = options["strides"]
    axes = max((len(one) for one in strides if isinstance(one, Sequence)), default=1)
    each = [tuple(one) if isinstance(one, Sequence) else (one,) * axes for one in strides]
    return tuple(math.prod(sides) for sides in zip(*each, strict=True)) or (1,)


def _levels(network: nn.Module, options: Options) -> tuple[int, ...]:
    return (2 ** (len(options["blocks_down"]) - 1),)


def _image_size(network: nn.Module, options: Options) -> tuple[int, ...]:
    size = options["img_size"]
    return tuple(size) if isinstance(size, Sequence) else (size,)


@dataclass(frozen=True)
class _Monai:
    """How a class of MONAI's answers: of which size its images must be, and which of several answers is final."""

    multiple: Callable[[nn.Module, Options], Sequence[int]]
    fixed: bool = False
    finest_first: bool = False


_MONAI: dict[str, _Monai] = {
    "AttentionUnet": _Monai(_strides),
    "AutoEncoder": _Monai(_strides),
    "BasicUNet": _Monai(_powers(4)),
    "BasicUNetPlusPlus": _Monai(_powers(4)),
    "DynUNet": _Monai(_strides, finest_first=True),
    "FlexibleUNet": _Monai(_powers(5)),
    "HighResNet": _Monai(_powers(0)),
    "MedNeXt": _Monai(lambda network, options: (2 ** len(options["blocks_down"]),), finest_first=True),
    "SegResNet": _Monai(_levels),
    "SegResNetDS": _Monai(lambda network, options: network.shape_factor(), finest_first=True),  # type: ignore[operator]
    "SwinUNETR": _Monai(_powers(5)),
    "UNETR": _Monai(_image_size, fixed=True),
    "UNet": _Monai(_strides),
    "VNet": _Monai(_powers(4)),
}


def monai_network(name: str, in_channels: int, out_channels: int, dimensions: int, options: Options) -> nn.Module:
    """A class of `gracile.names.MONAI_NETWORKS`.

    Args:
        name: Of the class; MONAI's other spellings of it do as well.
        in_channels: Channels of the image.
        out_channels: Number of classes, the background included.
        dimensions: 2 for pictures, 3 for volumes, 0 where the options say it.
        options: Handed to the class.
    """
    from monai.networks import nets

    kind = getattr(nets, name, None)
    offered = getattr(kind, "__name__", name)
    if kind is None or offered not in _MONAI:
        what = f"MONAI has no network {name!r}" if kind is None else f"MONAI's {name} is not offered as a network"
        raise RecipeError(f"{what}.", nearest(name, MONAI_NETWORKS))
    parameters = inspect.signature(kind).parameters
    chosen = {**({"spatial_dims": dimensions} if dimensions else {}), **options}
    if dimensions and chosen["spatial_dims"] != dimensions:
        other = f"spatial_dims is {chosen['spatial_dims']}, and the stage sees {dimensions} axes"
        raise RecipeError(f"The network 'monai:{name}' does not fit: {other}.", "Leave spatial_dims out.")
    require_options(f"network 'monai:{name}'", kind, chosen, ("in_channels", "out_channels"))

    def build(channels: int, classes: int) -> nn.Module:
        return kind(in_channels=channels, out_channels=classes, **chosen)

    network, entry = build(in_channels, out_channels), _MONAI[offered]
    defaults = {n: one.default for n, one in parameters.items() if one.default is not inspect.Parameter.empty}
    multiple = tuple(int(step) for step in entry.multiple(network, {**defaults, **chosen}))
    needs = Needs(multiple, entry.fixed, more_than_one=not entry.fixed, finest_first=entry.finest_first)
    return AnySize(build, in_channels, out_channels, needs, network)
