"""Packages as installed: the folder that an installer writes of a package, without installing it."""

import tomllib
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin_package"


def write_metadata(site: Path, name: str, version: str, entry_points: dict[str, dict[str, str]]) -> Path:
    """Write what an installation says of a package into a folder of packages; gives that folder."""
    told = site / f"{name.replace('-', '_')}-{version}.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = []
    for group, entries in entry_points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())]
    (told / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return site


def plugin_paths(site: Path) -> list[Path]:
    """What Python's path has where tests/plugin_package is installed; its metadata are written into ``site``."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    write_metadata(site, project["name"], project["version"], project["entry-points"])
    return [site, PLUGIN]


def install(monkeypatch: pytest.MonkeyPatch, paths: list[Path]) -> None:
    """Put folders on Python's path for a test."""
    for path in paths:
        monkeypatch.syspath_prepend(str(path))
