import resource
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_a_photograph_of_8_megapixels_is_predicted_within_3_gib(tmp_path: Path) -> None:
    picture = ROOT / "demo" / "retina" / "05_h.jpg"
    command = [sys.executable, "-m", "gracile", "predict", "retina-av", str(picture), "--out", str(tmp_path)]
    subprocess.run([*command, "--probabilities"], check=True, capture_output=True)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak_kib < 3 * 2**20
    with Image.open(tmp_path / "05_h.png") as mask:
        assert mask.size == (3504, 2336)
