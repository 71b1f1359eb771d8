"""Where the random changes of training samples come from."""

import torch


def sample_generator(seed: int, index: int) -> torch.Generator:
    """The random numbers of one training sample: the same for a seed and an index, whichever process draws it."""
    return torch.Generator().manual_seed((seed * 1_000_003 + index) % 2**63)


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """A random number between two."""
    return low + (high - low) * float(torch.rand((), generator=generator))
