"""SMICNet: tells from a small 2D window which landmark lies at its middle, or none.

Wang et al., Automatic Landmark Localization in 3D Medical CT Images: Few-Shot Learning through Optimized Data
Pre-Processing and Network Design, ICBRA 2023, https://doi.org/10.1145/3632047.3632048. Written from the architecture.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import RecipeError, nearest, require_options
from gracile.names import WINDOW_NETWORKS
from gracile.networks.anatomy import Anatomy, answers

SLOPE = 0.3
"""Of the leaky rectifier."""

NORM_EPSILON = 1e-3
DENSE_L1, DENSE_L2 = 1e-5, 1e-4


class WindowBlock(nn.Module):
    """Depthwise 3x3, batch norm, pointwise, maximum of 2x2; beside it, from the second block on, a strided shortcut.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        padded: Whether the 3x3 sees zeros around its input; otherwise each side loses one sample.
        pooled: Whether the maximum of 2x2 follows.
        shortcut_stride: Stride of the 1x1 shortcut; 0 for none.
    """

    def __init__(self, in_channels: int, out_channels: int, padded: bool, pooled: bool, shortcut_stride: int) -> None:
        super().__init__()
        self.padded = padded
        self.pooled = pooled
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=int(padded), groups=in_channels)
        self.norm = nn.BatchNorm2d(in_channels, eps=NORM_EPSILON)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=shortcut_stride) if shortcut_stride else None

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, in_channels, side, side)`` to ``(batch, out_channels, smaller side, smaller side)``."""
        inner = functional.leaky_relu(self.norm(self.depthwise(features)), SLOPE)
        answer = self.pointwise(inner)
        if self.pooled:
            answer = functional.max_pool2d(answer, 2)
        answer = functional.leaky_relu(answer, SLOPE)  # it rises, so it may follow the maximum, on fewer samples
        if self.shortcut is None:
            return answer
        if not self.padded:
            features = features[..., 1:-1, 1:-1]
        # A maximum leaves an odd last row out, a strided shortcut does not.
        beside = self.shortcut(features)[..., : answer.shape[-2], : answer.shape[-1]]
        return answer + beside

    def side(self, side: int) -> int:
        """Side of the output for that of the input.

        Raises:
            ValueError: Too small, or the shortcut's side would be another one.
        """
        inner = side if self.padded else side - 2
        answer = inner // 2 if self.pooled else inner
        beside = answer if self.shortcut is None else -(-inner // self.shortcut.stride[0])
        if answer < 1 or beside < answer:
            raise ValueError("the window's size does not fit the network")
        return answer


class SMICNet(nn.Module):
    """Classifies windows of one channel.

    With padding it is the published network: 191,634 weights for four classes. Without, the 3x3 sees only what is
    there and the last block takes no maximum, so that features at a place do not depend on which window they are
    computed for: overlapping windows can share them (`gracile.networks.smicnet_dense`). Features at the lower right
    edge may be left out where sides do not divide.

    Args:
        in_channels: 1.
        out_channels: Number of landmarks, and one for the background, which comes last.
        padded: The published network, or the one whose features can be shared.
        width: Channels after the first block; each further block doubles them.
        depth: Blocks after the first one.
        hidden: Width of the hidden dense layer.
        dropout: Behind the hidden layer.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 4,
        *,
        padded: bool = True,
        width: int = 16,
        depth: int = 4,
        hidden: int = 384,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        if in_channels != 1:
            raise ValueError("it takes windows of one channel")
        if depth < 1:
            raise ValueError("depth is at least 1")
        self.padded = padded
        self.blocks = nn.ModuleList([WindowBlock(1, width, padded, True, 0)])
        for number in range(depth):
            last = number == depth - 1
            stride = (3 if last else 2) if padded else (1 if last else 2)
            channels = width * 2**number
            self.blocks.append(WindowBlock(channels, 2 * channels, padded, padded or not last, stride))
        self.hidden = nn.Linear(width * 2**depth, hidden)
        self.dropout = nn.Dropout(dropout)
        self.classes = nn.Linear(hidden, out_channels)

    def forward(self, windows: Tensor) -> Tensor:
        """``(batch, 1, side, side)`` windows from 0 to 1 to ``(batch, classes)`` logits, the background last."""
        features = windows
        for block in self.blocks:
            features = block(features)
        hidden = functional.leaky_relu(self.hidden(features.mean(dim=(2, 3))), SLOPE)
        return self.classes(self.dropout(hidden))

    def sides(self, size: int) -> list[int]:
        """Side of the features behind each block, for windows of a size.

        Raises:
            RecipeError: The network takes no windows of this size.
        """
        sides = [size]
        try:
            for block in self.blocks:
                assert isinstance(block, WindowBlock)
                sides.append(block.side(sides[-1]))
        except ValueError:
            padding = "with" if self.padded else "without"
            raise RecipeError(
                f"This network of {len(self.blocks)} blocks {padding} padding takes no windows of {size} samples.",
                "The published size is 81; smaller windows need a smaller `depth`.",
            ) from None
        return sides[1:]

    def anatomy(self) -> Anatomy:
        """Where the classes lie; it has no expanding part, and always one channel."""
        return Anatomy(axes=answers("classes"))

    def penalty(self) -> Tensor:
        """The published penalty on the hidden layer's weights, L1 1e-5 and L2 1e-4."""
        weights = self.hidden.weight
        return DENSE_L1 * weights.abs().sum() + DENSE_L2 * weights.square().sum()


_BUILDERS: dict[str, Callable[..., SMICNet]] = {
    "smicnet": partial(SMICNet, padded=True),
    "smicnet-unpadded": partial(SMICNet, padded=False),
}


def build_window_network(name: str, out_channels: int, **options: Any) -> SMICNet:
    """Build a network that maps ``(batch, 1, side, side)`` windows to ``(batch, classes)`` logits, background last.

    Args:
        name: A name of `gracile.names.WINDOW_NETWORKS`.
        out_channels: Number of landmarks, and one for the background.
        options: Handed to the network's constructor.

    Raises:
        RecipeError: Unknown name or option.
    """
    if name not in _BUILDERS:
        raise RecipeError(f"There is no network {name!r} of windows.", nearest(name, WINDOW_NETWORKS))
    require_options(f"network {name!r}", SMICNet, options, ("in_channels", "out_channels", "padded"))
    try:
        return _BUILDERS[name](1, out_channels, **options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"The network {name!r} cannot be built: {error}.", "Check its options.") from None
