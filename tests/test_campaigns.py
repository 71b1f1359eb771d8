"""The campaigns of the benchmarks, short: mutated inputs of every kind, and runs that are killed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGNS = Path(__file__).parents[1] / "benchmarks" / "campaigns"


def ran(script: str, *arguments: str) -> str:
    command = [sys.executable, str(CAMPAIGNS / script), *arguments]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout[-6000:] + outcome.stderr[-3000:]
    return outcome.stdout


@pytest.mark.slow
def test_no_mutated_input_raises_raw_hangs_or_dies(tmp_path: Path) -> None:
    ran("inputs.py", "--count", "180", "--seed", "3", "--json", str(tmp_path / "outcome.json"))
    outcome = json.loads((tmp_path / "outcome.json").read_text())
    assert outcome["failures"] == []
    assert sum(sum(counts.values()) for counts in outcome["kinds"].values()) == 180
    assert all(set(counts) <= {"read", "refused"} for counts in outcome["kinds"].values())


@pytest.mark.slow
def test_a_killed_run_that_is_given_again_ends_as_an_unkilled_one() -> None:
    said = ran("kills.py", "--predict", "2", "--train", "2", "--by", "writes", "--seed", "1")
    assert "predict: 2 kills" in said
    assert "train: 2 kills" in said
