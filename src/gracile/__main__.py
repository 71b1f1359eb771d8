"""``python -m gracile``."""

from gracile.cli import run

run()
