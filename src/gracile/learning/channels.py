"""Fine-tuning on other image channels: whose weights each channel takes over.

Channels go by their names, and by number where either side names none or no name is on both. A channel that is new
begins at zero: at first the network answers as it did without it, and then learns what it adds. Gray and color images,
whose channels mean one thing, share: the weights of all are summed and divided equally among the new ones, so that a
gray picture in three channels, or three in one, gives the same answer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gracile.recipe import InputSpec


@dataclass(frozen=True)
class ChannelMoves:
    """What becomes of the image channels of a network's first weights.

    Args:
        before: How many there were.
        after: How many there are.
        sources: For each channel of the new network the one that it takes over; None begins at zero. Empty: all share.
        remarks: What is to be said of every such layer: which list of a transfer, reason, detail.
    """

    before: int
    after: int
    sources: tuple[int | None, ...] = ()
    remarks: tuple[tuple[str, str, str], ...] = ()

    def apply(self, weights: Tensor) -> Tensor:
        """``(repeats, channels before, ...)`` to ``(repeats, channels after, ...)``."""
        if not self.sources:
            shared = weights.sum(dim=1, keepdim=True) / self.after
            return shared.expand(len(weights), self.after, *weights.shape[2:])
        nothing = torch.zeros_like(weights[:, 0])
        return torch.stack([nothing if source is None else weights[:, source] for source in self.sources], dim=1)


def moves_of(there: InputSpec, here: InputSpec) -> ChannelMoves:
    """How the channels of a bundle's images become those of a recipe's."""
    before, after = there.channels, here.channels
    old, new = ([name.casefold() for name in spec.channel_names] for spec in (there, here))
    by_name = bool(set(old) & set(new))
    if not by_name and not (there.separate or here.separate):
        shared = ("adapted", f"{before} to {after} image channels", "summed" if after == 1 else "shared equally")
        return ChannelMoves(before, after, (), (shared,) if before != after else ())
    sources: list[int | None]
    if by_name:
        sources = [old.index(name) if name in old else None for name in new]
    else:
        sources = [number if number < before else None for number in range(after)]
    remarks = []
    if not by_name and old and new:
        remarks.append(("adapted", "no channel has its name here: they go by number", ""))
    elif any(source not in (None, number) for number, source in enumerate(sources)):
        remarks.append(("adapted", "channels go by name", ", ".join(here.channel_names)))
    added = [here.channel(number) for number, source in enumerate(sources) if source is None]
    gone = [there.channel(number) for number in range(before) if number not in sources]
    remarks += [("left_out", "new channel", ", ".join(added))] if added else []
    remarks += [("unused", "channel that is not here", ", ".join(gone))] if gone else []
    return ChannelMoves(before, after, tuple(sources), tuple(remarks))
