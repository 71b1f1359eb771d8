"""What is loaded when, and the commands."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from gracile.cli import app


def loaded(code: str) -> set[str]:
    """The top-level packages that are loaded after some code."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(answer.stdout.splitlines()[-1].split())


def test_neither_the_package_nor_its_help_loads_the_server() -> None:
    code = "import gracile\nfrom typer.testing import CliRunner\nfrom gracile.cli import app\n"
    assert not {"fastapi", "uvicorn", "torch"} & loaded(code + "CliRunner().invoke(app, ['--help'])")


def test_the_servers_own_process_loads_no_torch() -> None:
    assert "torch" not in loaded("import gracile.serve.run, gracile.serve.checking, gracile.serve.drawing")


def test_commands_say_what_is_wrong(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["view", str(tmp_path)])
    assert "holds no predictions.json" in str(outcome.exception)
    outcome = CliRunner().invoke(app, ["serve", "no-such-model"])
    assert "There is no model" in str(outcome.exception)
    outcome = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0"])
    assert "no token guards it" in str(outcome.exception)
    outcome = CliRunner().invoke(app, ["serve", "nerve-ultrasound", "--port", "99999"])
    assert "There is no port 99999" in str(outcome.exception)
