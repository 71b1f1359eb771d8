"""A network for pictures on the slices of a volume."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.networks.anatomy import Anatomy, anatomy_of


class SliceNetwork(nn.Module):
    """Answers a volume slice by slice; each is seen with its neighbors as further channels.

    Args:
        network: From ``(batch, neighbors * channels, x, y)`` to logits, or a list of them, ``(batch, classes, x, y)``.
        neighbors: Slices that it sees at once, an odd number.
    """

    def __init__(self, network: nn.Module, neighbors: int) -> None:
        super().__init__()
        if neighbors % 2 == 0:
            raise ValueError(f"a slice has as many neighbors below as above: {neighbors} is no odd number")
        self.network = network
        self.neighbors = neighbors

    def forward(self, volumes: Tensor) -> Tensor | list[Tensor]:
        """``(batch, channels, x, y, z)`` to logits ``(batch, classes, x, y, z)``, or a list of them.

        The first and last slices are their own neighbors.
        """
        batch, _, _, _, length = volumes.shape
        reach = self.neighbors // 2
        wider = functional.pad(volumes, (reach, reach, 0, 0, 0, 0), mode="replicate")
        seen = torch.cat([wider[..., shift : shift + length] for shift in range(self.neighbors)], dim=1)
        pictures = seen.permute(0, 4, 1, 2, 3).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        answers = self.network(pictures)
        steps = answers if isinstance(answers, list | tuple) else [answers]
        logits = [step.unflatten(0, (batch, length)).permute(0, 2, 3, 4, 1) for step in steps]
        return logits[0] if len(logits) == 1 else logits

    def anatomy(self) -> Anatomy:
        """That of the network; each slice brings all channels, one slice after the other."""
        inner = anatomy_of(self.network)
        axes = (replace(axis, repeats=self.neighbors) if axis.of == "channels" else axis for axis in inner.axes)
        return replace(inner, axes=tuple(axes)).inside("network")
