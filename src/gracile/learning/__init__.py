"""Training: a recipe and labeled cases in, a bundle out."""

from gracile.learning.run import train

__all__ = ["train"]
