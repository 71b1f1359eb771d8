"""How quick the page and the service are: first paint, bytes, a volume of 384 x 225 x 52, and 50 uploads at once.

    python benchmarks/serve.py [--model NAME] [--json FILE]

The browser is Debian's chromium through Playwright; without it the page and the opening of a volume are left out.
"""

import argparse
import json
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gracile.client import Client, ServerError
from gracile.names import demo_folder

UPLOADS = 50
AT_ONCE = 25
VOLUME = (384, 225, 52)
FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
]  # fmt: skip
BYTES = "performance.getEntries().reduce((sum, e) => sum + (e.transferSize || 0), 0)"


def main() -> None:
    """Start a server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="retina-av")
    parser.add_argument("--uploads", type=int, default=UPLOADS, help="0 measures the page alone")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "gracile", "serve", options.model, "--port", str(port), "--waiting", "8"]
    begun = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = Client(f"http://127.0.0.1:{port}", patience=36_000)
        answered = wait_until(lambda: client.health())
        figures: dict[str, Any] = {"server_answers_s": answered - begun}
        figures["model_is_loaded_s"] = wait_until(lambda: client.health()["ready"] or 1 / 0) - begun
        figures |= paint(client.address) | volume()
        if options.uploads:
            figures |= one(client)
            figures |= many(client, options.uploads)
        figures["server_rss_mb"] = memory_mb(server.pid)
    finally:
        server.terminate()
        server.wait()
    for name, value in figures.items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def wait_until(check: Any) -> float:
    """When a check first passed."""
    while True:
        try:
            check()
            return time.perf_counter()
        except (ServerError, ZeroDivisionError):
            time.sleep(0.05)


def paint(address: str) -> dict[str, Any]:
    """First contentful paint of the page, cold and warm, and the bytes it takes."""
    if shutil.which("chromium") is None:
        return {}
    from playwright.sync_api import sync_playwright

    script = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        times = []
        size = 0
        for _ in range(5):
            page = browser.new_context().new_page()
            page.goto(address)
            page.locator("html[data-ready]").wait_for(timeout=120_000)
            while page.evaluate(script) is None:
                page.wait_for_timeout(10)
            times.append(page.evaluate(script) / 1000)
            size = page.evaluate(BYTES)
        browser.close()
    return {"first_paint_s": statistics.median(times), "first_paint_worst_s": max(times), "page_bytes": int(size)}


def volume() -> dict[str, Any]:
    """A volume with its mask in `gracile view`: from asking for the page until both are drawn."""
    if shutil.which("chromium") is None:
        return {}
    from playwright.sync_api import sync_playwright

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        results = volume_results(Path(folder))
        command = [sys.executable, "-m", "gracile", "view", str(results), "--port", str(port)]
        viewer = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            client = Client(f"http://127.0.0.1:{port}")
            wait_until(client.health)
            time.sleep(5)  # as a person takes until the page is open
            times = []
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                for _ in range(5):
                    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
                    begun = time.perf_counter()
                    page.goto(client.address)
                    page.locator("#look[data-shown]").wait_for(timeout=120_000)
                    times.append(time.perf_counter() - begun)
                    size = int(page.evaluate(BYTES))
                    page.context.close()  # a hidden page that draws would slow the next one
                browser.close()
        finally:
            viewer.terminate()
            viewer.wait()
    return {"volume_first_s": times[0], "volume_again_s": statistics.median(times[1:]), "volume_bytes": size}


def volume_results(folder: Path) -> Path:
    """A results folder of a drawn volume with a mask and maps, as `gracile predict` writes it."""
    import nibabel
    import numpy as np

    out = folder / "results"
    (out / "probabilities").mkdir(parents=True)
    place = np.indices(VOLUME, dtype=np.float32)
    far = np.hypot(place[0] - 190 - 20 * np.sin(place[2] / 9), place[1] - 110)
    random = np.random.default_rng(0)
    scan = (600 * np.exp(-((far / 40) ** 2)) + random.normal(200, 30, VOLUME)).astype(np.int16)
    mask = (far < 9).astype(np.uint8)
    affine = np.diag([0.5, 0.5, 3.0, 1.0])
    maps = np.stack([1 - mask, mask], axis=3).astype(np.float32)
    for path, values in (
        (folder / "scan.nii.gz", scan), (out / "scan.nii.gz", mask), (out / "probabilities/scan.nii.gz", maps),
    ):  # fmt: skip
        nibabel.Nifti1Image(values, affine).to_filename(path)
    classes = [{"name": "background", "color": [0, 0, 0]}, {"name": "cord", "color": [255, 80, 80]}]
    recipe = {"title": "Drawn", "classes": classes, "input": {"kind": "volume"}}
    record = {
        "name": "scan", "input": str(folder / "scan.nii.gz"), "kind": "volume", "status": "found",
        "files": {"mask": "scan.nii.gz", "probabilities": "probabilities/scan.nii.gz"},
    }  # fmt: skip
    content = {"model": {"name": "drawn"}, "settings": {"recipe": recipe}, "inputs": [record]}
    (out / "predictions.json").write_text(json.dumps(content))
    return out


def one(client: Client) -> dict[str, Any]:
    """One photograph, alone."""
    picture = next(iter(sorted(demo_folder("retina").glob("*.jpg"))))
    begun = time.perf_counter()
    client.predict(picture)
    return {"one_picture_s": time.perf_counter() - begun}


def many(client: Client, uploads: int) -> dict[str, Any]:
    """Many photographs at once: seconds each, and how many were refused at first."""
    picture = next(iter(sorted(demo_folder("retina").glob("*.jpg"))))
    impatient = Client(client.address, patience=0)
    refusals = 0

    def predict(number: int) -> float:
        nonlocal refusals
        begun = time.perf_counter()
        try:
            job = impatient.submit(copies[number])
        except ServerError as error:
            if error.status != 429 or error.retry_seconds is None:
                raise
            refusals += 1
            job = client.submit(copies[number])
        client.wait(job["id"])
        if client.result(job["id"])["name"] != copies[number].name:
            raise SystemExit("Results were mixed up.")
        return time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(shutil.copy(picture, Path(folder) / f"{number}.jpg")) for number in range(uploads)]
        begun = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            spent = list(pool.map(predict, range(uploads)))
        whole = time.perf_counter() - begun
    client_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "uploads": uploads, "refused_at_first": refusals, "all_s": whole, "median_s": statistics.median(spent),
        "longest_s": max(spent), "client_mb": client_mb,
    }  # fmt: skip


def memory_mb(process: int) -> float:
    """Most memory that a process ever had, in MB (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
