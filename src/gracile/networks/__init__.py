"""Architectures from the papers, and the zoo that builds any network by name."""

from gracile.networks.zoo import build_network

__all__ = ["build_network"]
