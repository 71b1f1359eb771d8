"""Training: a recipe and labeled cases in, a bundle out."""

from gracile.training.run import train

__all__ = ["train"]
