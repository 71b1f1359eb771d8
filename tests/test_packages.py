"""What the package requires: the base without torch, pinned as the whole is."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(file: str) -> dict[str, str]:
    """The lines of a lock file by the package's plain name."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {plain(re.split("[=;]", line)[0]): line for line in lines if line and not line.startswith("#")}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower().strip()


def closure(requirements: list[str]) -> set[str]:
    """The plain names of what is installed for requirements, they included."""
    found: set[str] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        one = waiting.pop()
        if plain(one.name) not in found:
            found.add(plain(one.name))
            needed = [Requirement(text) for text in distribution(one.name).requires or []]
            waiting += [other for other in needed if other.marker is None or other.marker.evaluate({"extra": ""})]
    return found


def test_the_lock_of_the_base_is_what_its_requirements_bring() -> None:
    assert set(pins("requirements-base.lock")) == closure(PROJECT["dependencies"])


def test_the_base_is_pinned_as_the_whole_is() -> None:
    base, whole = pins("requirements-base.lock"), pins("requirements.lock")
    assert base.items() <= whole.items()


def test_the_base_has_no_torch() -> None:
    heavy = {"torch", "torchvision", "lightning", "monai", "timm", "optuna", "onnx", "pandas", "matplotlib"}
    assert not heavy & set(pins("requirements-base.lock"))


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_what_an_extra_brings_is_pinned(extra: str) -> None:
    own = [one for one in PROJECT["optional-dependencies"][extra] if not one.startswith("gracile[")]
    assert closure(own) <= set(pins("requirements.lock")) | {"setuptools"}
