"""How quick `gracile view` is: 1,000 cases opened, and the next case by key.

    python benchmarks/view.py [--cases 1000] [--json FILE]

The cases are copies of the demo's photographs and of a drawn volume, with masks drawn by a threshold: nothing is
predicted. Printed are the seconds until the list stands and until the first picture does, and from a key to the next
picture: when its neighbors had a moment to be fetched ahead (as a person takes to look), and when keys follow each
other as fast as pictures come. The browser is Debian's chromium through Playwright.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from serve import BYTES, FLAGS, free_port, volume_results, wait_until

from gracile.client import Client
from gracile.names import demo_folder

KEYS = 12
LOOK_SECONDS = 4.0
CLASSES = [
    {"name": "background", "color": [0, 0, 0]},
    {"name": "bright", "color": [255, 220, 0]},
]
PRESS = """([key, name]) => new Promise((done) => {
  const look = document.querySelector("#look"), begun = performance.now();
  const watch = () => look.dataset.shown && look.dataset.shown !== name
    ? requestAnimationFrame(() => done((performance.now() - begun) / 1000)) : requestAnimationFrame(watch);
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  requestAnimationFrame(watch);
})"""
"""From a key to the frame in which another picture stands."""


def main() -> None:
    """Draw the cases, open them, press keys, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"cases": options.cases}
    with tempfile.TemporaryDirectory() as folder:
        for name, results in (
            ("ultrasound", pictures(Path(folder) / "ultrasound", "ultrasound", "*.png", options.cases)),
            ("retina", pictures(Path(folder) / "retina", "retina", "*.jpg", options.cases)),
            ("volume", volumes(Path(folder) / "volume", options.cases)),
        ):
            figures |= {f"{name}_{key}": value for key, value in measured(results).items()}
    for key, value in figures.items():
        print(f"{key:34} {value:.3f}" if isinstance(value, float) else f"{key:34} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def pictures(folder: Path, demo: str, pattern: str, count: int) -> Path:
    """A results folder whose cases share a few files of a demo, with 40 measures each."""
    folder.mkdir(parents=True)
    sources = sorted(demo_folder(demo).glob(pattern))
    for source in sources:
        gray = np.asarray(Image.open(source).convert("L"))
        Image.fromarray((gray > np.percentile(gray, 90)).astype(np.uint8)).save(folder / f"{source.stem}.png")
    random = np.random.default_rng(0)
    names = [f"measure_{number}" for number in range(40)]
    records = [
        {
            "name": f"case {number:04}", "input": str(sources[number % len(sources)]), "status": "found",
            "files": {"mask": f"{sources[number % len(sources)].stem}.png"},
            "measurements": [
                {"name": name, "value": float(random.normal()), "unit": "px", "structure": "bright", "note": ""}
                for name in names
            ],
        }
        for number in range(count)
    ]  # fmt: skip
    return written(folder, records, "image")


def volumes(folder: Path, count: int) -> Path:
    """A results folder whose cases share the drawn volume of the service's benchmark."""
    folder.mkdir(parents=True)
    out = volume_results(folder)
    (record,) = json.loads((out / "predictions.json").read_text())["inputs"]
    return written(out, [{**record, "name": f"case {number:04}"} for number in range(count)], "volume")


def written(out: Path, records: list[dict[str, Any]], kind: str) -> Path:
    """The folder with its ``predictions.json``."""
    recipe = {"title": "Drawn", "classes": CLASSES, "input": {"kind": kind}}
    content = {"model": {"name": "drawn"}, "settings": {"recipe": recipe}, "inputs": records}
    (out / "predictions.json").write_text(json.dumps(content))
    return out


def measured(results: Path) -> dict[str, Any]:
    """The figures of one folder."""
    from playwright.sync_api import sync_playwright

    port = free_port()
    command = [sys.executable, "-m", "gracile", "view", str(results), "--port", str(port)]
    viewer = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = Client(f"http://127.0.0.1:{port}")
        wait_until(client.health)
        time.sleep(5)  # as a person takes until the page is open
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            listed, drawn = [], []
            for _ in range(3):
                page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
                page.set_default_timeout(120_000)
                begun = time.perf_counter()
                page.goto(client.address)
                page.locator("#list .name").first.wait_for()
                listed.append(time.perf_counter() - begun)
                page.locator("#look[data-shown]").wait_for()
                drawn.append(time.perf_counter() - begun)
                size = int(page.evaluate(BYTES))
                if len(listed) < 3:
                    page.context.close()
            looked = [press(page, LOOK_SECONDS) for _ in range(KEYS)]
            chased = [press(page, 0) for _ in range(KEYS)]
            browser.close()
    finally:
        viewer.terminate()
        viewer.wait()
    return {
        "listed_s": statistics.median(listed), "first_picture_s": drawn[0], "again_picture_s": drawn[-1],
        "page_bytes": size, "next_s": statistics.median(looked), "next_worst_s": max(looked),
        "next_chased_s": statistics.median(chased),
    }  # fmt: skip


def press(page: Any, wait: float) -> float:
    """Seconds from a key to the next picture, after looking at this one for a while."""
    time.sleep(wait)
    return float(page.evaluate(PRESS, ["j", page.locator("#look").get_attribute("data-shown")]))


if __name__ == "__main__":
    main()
