import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PEAK = """
import re, sys
from gracile.cli import app
app(sys.argv[1:], standalone_mode=False)
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
"""
"""The command, and the most memory that its own process held; what `resource` tells counts its parent's too."""


@pytest.mark.slow
def test_a_photograph_of_8_megapixels_is_predicted_within_3_gib(tmp_path: Path) -> None:
    picture = ROOT / "demo" / "retina" / "05_h.jpg"
    arguments = ["predict", "retina-av", str(picture), "--out", str(tmp_path), "--probabilities"]
    answer = subprocess.run([sys.executable, "-c", PEAK, *arguments], check=True, capture_output=True, text=True)
    peak_kib = int(answer.stdout.splitlines()[-1])
    assert 2**17 < peak_kib < 3 * 2**20
    with Image.open(tmp_path / "05_h.png") as mask:
        assert mask.size == (3504, 2336)
