"""Shells complete names: quickly, with nothing heavy loaded."""

import os
import subprocess
import sys

import pytest

from gracile.names import MODELS, PROTOCOLS, RECIPES, STUDIES
from tests.test_cli import HEAVY

SCRIPT = (
    "import sys, atexit; from gracile.cli import main; sys.argv = ['gracile']; "
    f"atexit.register(lambda: print('LOADED', *(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)); main()"
)


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, encoding="utf-8", env={**os.environ, **environment}
    )


def completed(line: str) -> list[str]:
    """What bash is offered at the end of a line; nothing heavy was loaded for it."""
    words = line.split(" ")
    done = run(_GRACILE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert done.stderr.split() == ["LOADED"], done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("gracile predict ", list(MODELS)),
        ("gracile predict retina-av a.png ", []),
        ("gracile predict my-mo", []),  # then bash offers files
        ("gracile train ner", [name for name in RECIPES if name.startswith("ner")]),
        ("gracile recipe ", list(RECIPES)),
        ("gracile evaluate a b --protocol ", list(PROTOCOLS)),
        ("gracile evaluate a b --recipe retina", [name for name in RECIPES if name.startswith("retina")]),
        ("gracile data check a --recipe skull", ["skull-landmarks"]),
        ("gracile tune ", list(STUDIES)),
        ("gracile train retina-av data --from s", [name for name in MODELS if name.startswith("s")]),
        ("gracile compare retina-av s", [name for name in MODELS if name.startswith("s")]),
        ("gracile serve spinal", ["spinal-cord"]),
        ("gracile demo --model ", list(MODELS)),
        ("gracile predict retina-av a.png --device ", ["auto", "cpu", "cuda"]),
        ("gracile mod", ["models"]),
        ("gracile predict retina-av a.png --over", ["--overlay-opacity", "--overwrite"]),
    ],
)
def test_bash_is_offered_the_names_that_begin_so(line: str, offered: list[str]) -> None:
    assert sorted(completed(line)) == sorted(offered)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_summaries_as_well(shell: str) -> None:
    line = "gracile predict retina"
    done = run(_GRACILE_COMPLETE=f"complete_{shell}", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert "retina-av" in done.stdout
    assert MODELS["retina-av"].summary in done.stdout
    assert done.stderr.split() == ["LOADED"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell: str) -> None:
    done = run(_GRACILE_COMPLETE=f"source_{shell}")
    assert "_GRACILE_COMPLETE=complete_" in done.stdout or "_GRACILE_COMPLETE complete_" in done.stdout
