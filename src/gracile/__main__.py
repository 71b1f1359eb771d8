"""``python -m gracile``."""

from gracile.cli import main

main()
