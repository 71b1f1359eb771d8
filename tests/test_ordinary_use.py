"""A batch loop as people write it loses no case and doubles none: the benchmark of it, short."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "ordinary_use.py"


@pytest.mark.slow
def test_every_case_of_a_loop_that_is_killed_is_in_every_file_once() -> None:
    arguments = ["--calls", "8", "--kills", "1", "--only", "pictures"]
    outcome = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "1 of them killed and made again" in outcome.stdout
    assert re.search(r"cases in 8, cases out 8, twice 0", outcome.stdout)
