"""Learning: a recipe and labeled cases in, a bundle out. All of this room needs PyTorch."""

from gracile.errors import needs

with needs("train"):
    import torch  # noqa: F401
