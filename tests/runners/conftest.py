"""Small graphs and bundles of them; engines keep what they make in a folder of the test's own."""

from pathlib import Path

import pytest

from gracile.recipe import Recipe
from tests.runners.graphs import STAGE, write_graph_bundle


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def graph_bundle(tiny_recipe: Recipe, tmp_path: Path) -> Path:
    """A bundle whose only stage is one convolution, with a graph and golden answers."""
    assert tiny_recipe.stages[0].name == STAGE
    return write_graph_bundle(tiny_recipe, tmp_path / "bundle")
