"""Where computation runs: device, number format and threads."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from gracile.errors import UsageError


def resolve_device(name: str) -> torch.device:
    """``auto`` takes a GPU when there is one; ``cpu`` and ``cuda`` (``cuda:1``) are taken by their word."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("No CUDA device is available.", "Use --device cpu, or auto.")
    try:
        return torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device {name!r}.", "Use auto, cpu or cuda.") from None


def graphics_cards() -> int:
    """How many CUDA devices there are."""
    return torch.cuda.device_count()


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is worth using: processors with AVX512-BF16 or AMX instructions, and GPUs that support it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


Laid = TypeVar("Laid", Tensor, nn.Module)


def in_fast_layout(what: Laid) -> Laid:
    """Channels last, for pictures or volumes: about twice as fast on processors. A module is changed in place."""
    if isinstance(what, nn.Module):
        for parameter in what.parameters():
            if parameter.ndim in _LAYOUTS:
                parameter.data = parameter.data.contiguous(memory_format=_LAYOUTS[parameter.ndim])
        return what
    layout = _LAYOUTS.get(what.ndim)
    return what if layout is None else what.contiguous(memory_format=layout)


_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
