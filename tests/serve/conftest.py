"""Running servers, files to upload, and results folders as other recipes will write them."""

import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from gracile.client import Client
from gracile.io.video_writing import write_video
from gracile.serve.app import create_app
from gracile.serve.jobs import JobStore
from gracile.serve.process import WorkerProcess
from gracile.serve.run import _listener
from gracile.serve.settings import ServeSettings
from tests.serve.engines import CLASSES
from tests.serve.nginx import BEHIND, nginx, proxied

ROOT = Path(__file__).parents[2]


class _Server(uvicorn.Server):
    """Runs in a thread, where signals cannot be caught."""

    def install_signal_handlers(self) -> None:
        pass

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """An application on a free port, in a thread; gives its address."""
    listener = _listener("127.0.0.1", 0)
    server = _Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@contextmanager
def browsed(app: FastAPI) -> Iterator[str]:
    """An application as a browser is to see it: under a path, another name and TLS where there is nginx."""
    with listening(app) as address:
        if nginx() is None:
            yield address
            return
        with proxied(address) as (page, _):
            yield page


def picture(value: int = 60, size: tuple[int, int] = (80, 120), first: tuple[int, ...] | None = None) -> bytes:
    """A PNG: gray with a bright bar across it."""
    image = np.full((*size, 3), value, np.uint8)
    image[size[0] // 3 : size[0] // 2, 10:-10] = 230
    if first:
        image[0, 0] = first
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session", autouse=True)
def _engines_can_be_found() -> Iterator[None]:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
    yield
    os.environ.pop("PYTHONPATH")
    if before:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def fake_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server reads of a bundle to offer it."""
    folder = tmp_path_factory.mktemp("models") / "bright"
    folder.mkdir()
    recipe = {"title": "Bright things", "summary": "What is bright.", "input": {"kind": "image"}}
    (folder / "bundle.json").write_text(json.dumps({"recipe": recipe}))
    return folder


@pytest.fixture(scope="session")
def make_app(fake_bundle: Path) -> Callable[..., FastAPI]:
    """Makes services whose workers are the quick engine."""

    def make(folder: Path, workers: int = 1, **changes: Any) -> FastAPI:
        values = {"max_upload_mb": 8, "check_memory_mb": 3072, **BEHIND, **changes}
        settings = ServeSettings((str(fake_bundle),), workers=workers, folder=folder, **values)
        predictors = [WorkerProcess("tests.serve.engines:BrightEngine", threads=1) for _ in range(workers)]
        store = JobStore(folder, settings.keep_hours * 3600)
        return create_app(settings, store, predictors=predictors)

    return make


@pytest.fixture(scope="module")
def server(make_app: Callable[..., FastAPI], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with one quick worker."""
    with listening(make_app(tmp_path_factory.mktemp("jobs"))) as address:
        yield address


@pytest.fixture
def client(server: str) -> Client:
    """A client of the quick service."""
    return Client(server)


@pytest.fixture
def upload(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file to upload."""

    def write(content: bytes, name: str = "picture.png") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def write_results(
    folder: Path, records: list[dict[str, Any]], kind: str = "image", classes: list[dict[str, Any]] = CLASSES
) -> Path:
    """A ``predictions.json`` as `gracile predict` writes it."""
    content = {
        "version": 1,
        "model": {"name": "handmade"},
        "key": "",
        "settings": {"recipe": {"title": "Made by hand", "classes": classes, "input": {"kind": kind}}},
        "inputs": records,
    }
    (folder / "predictions.json").write_text(json.dumps(content))
    return folder


def markups(name: str, kind: str, points: list[tuple[str, list[float]]]) -> str:
    """A list of points as 3D Slicer saves it."""
    controls = [{"label": label, "position": place, "positionStatus": "defined"} for label, place in points]
    return json.dumps({"markups": [{"type": kind, "name": name, "coordinateSystem": "LPS", "controlPoints": controls}]})


@pytest.fixture(scope="session")
def volume_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of a volume: scan, mask, probabilities, landmarks, a centerline, sections; labels; read only."""
    base = tmp_path_factory.mktemp("volume")
    out = base / "results"
    (out / "probabilities").mkdir(parents=True)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = (-20, -20, -30)
    grid = np.indices((40, 40, 30)).astype(np.float32)
    distance = np.hypot(grid[0] - 22, grid[1] - 18 - 3 * np.sin(grid[2] / 6))
    random = np.random.default_rng(0)
    scan = (400 * np.exp(-((distance / 8) ** 2)) + random.normal(100, 10, distance.shape)).astype(np.int16)
    mask = (distance < 4).astype(np.uint8)
    share = np.clip(1.4 - distance / 5, 0, 1).astype(np.float32)
    nibabel.Nifti1Image(scan, affine).to_filename(base / "scan.nii.gz")
    nibabel.Nifti1Image(mask, affine).to_filename(out / "scan.nii.gz")
    both = np.stack([1 - share, share, 0 * share], axis=3)
    nibabel.Nifti1Image(both, affine).to_filename(out / "probabilities/scan.nii.gz")
    landmarks = [("apex", [-5.0, 6.0, 10.0]), ("<img src=x onerror=alert(1)>", [-2.0, 2.0, -10.0])]
    (out / "scan.mrk.json").write_text(markups("landmarks", "Fiducial", landmarks))
    line = [("", [-2.0, 2.0 - 3 * float(np.sin(k / 6)), 2.0 * k - 30]) for k in range(30)]
    (out / "centerline").mkdir()
    (out / "centerline/scan.mrk.json").write_text(markups("centerline", "Curve", line))
    (out / "centerline/scan.csv").write_text("ras_x_mm,ras_y_mm,ras_z_mm,arc_mm,probability\n")
    nibabel.Nifti1Image(mask, affine).to_filename(out / "centerline/scan.nii.gz")
    rows = [f"{-p[0]},{-p[1]},{p[2]},{40 + k % 5},C{2 + k // 10}" for k, (_, p) in enumerate(line)]
    (out / "scan_cord.csv").write_text("\n".join(["x_ras_mm,y_ras_mm,z_ras_mm,area_mm2,level", *rows]))
    record = {
        "name": "scan", "input": str(base / "scan.nii.gz"), "kind": "volume", "status": "found", "reason": "",
        "flags": ["short"],
        "measurements": [{"name": "length", "value": 58.0, "unit": "mm", "structure": "", "note": ""}],
        "files": {
            "mask": "scan.nii.gz", "probabilities": "probabilities/scan.nii.gz", "landmarks": "scan.mrk.json",
            "centerline": "centerline/scan.csv", "centerline_curve": "centerline/scan.mrk.json",
            "centerline_voxels": "centerline/scan.nii.gz", "cord": "scan_cord.csv",
        },
        "seconds": {"find": 1.5},
    }  # fmt: skip
    (base / "labels").mkdir()
    nibabel.Nifti1Image(np.roll(mask, 3, axis=0), affine).to_filename(base / "labels/scan.nii.gz")
    return write_results(out, [record], "volume")


@pytest.fixture(scope="session")
def video_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of a clip of five frames that browsers cannot play: painted film and table; read only."""
    base = tmp_path_factory.mktemp("video")
    out = base / "results"
    out.mkdir()
    for path, painted in ((base / "clip.avi", False), (out / "clip.mp4", True)):
        with write_video(path, (48, 64), Fraction(10), Fraction(1, 10)) as writer:
            for frame in range(5):
                image = np.full((48, 64, 3), 40 * frame, np.uint8)
                if painted:
                    image[10:30, 10:50] = (0, 255, 0)
                writer.write(image, frame)
    rows = [f"{n},{n / 10:.6f},artery,0.9,0.{n},{100 * n}," for n in range(5)]
    header = "frame,time_s,class,probability,p_presence,area_px_artery,reason"
    (out / "clip.csv").write_text("\n".join([header, *rows]) + "\n")
    files = {"video": "clip.mp4", "frames": "clip.csv"}
    return write_results(out, [{"name": "clip", "input": str(base / "clip.avi"), "status": "found", "files": files}])


@pytest.fixture(scope="session")
def picture_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of pictures: one found, one flagged, one failed, one whose name is a script; and labels."""
    base = tmp_path_factory.mktemp("pictures")
    out = base / "results"
    (base / "labels").mkdir()
    (out / "explain").mkdir(parents=True)
    records = []
    for name, flags in (("plain", []), ("flagged", ["blurred"]), ("<b>bold</b>", [])):
        (base / f"{name.replace('/', '_')}.png").write_bytes(picture(40))
        mask = np.zeros((80, 120), np.uint8)
        mask[26:40, 10:60], mask[26:40, 60:110] = 1, 2
        stored = name.replace("/", "_")
        Image.fromarray(mask).save(out / f"{stored}.png")
        Image.fromarray(np.roll(mask, 4, axis=0)).save(base / "labels" / f"{stored}.png")
        heat = np.zeros((80, 120, 3), np.uint8)
        heat[20:60, 30:90] = (240, 140, 10)
        Image.fromarray(heat).save(out / "explain" / f"{stored}-gradcam.png")
        record = {
            "name": stored,
            "input": str(base / f"{stored}.png"),
            "status": "found",
            "flags": flags,
            "files": {"mask": f"{stored}.png"},
            "gates": {"presence": 0.9},
            "gate_decisions": {"presence": True},
            "measurements": [{"name": "area", "value": 700.0, "unit": "px", "structure": "artery", "note": ""}],
        }
        records.append(record)
    records.append({"name": "broken", "input": "gone.png", "status": "failed", "reason": "It is empty.", "files": {}})
    return write_results(out, records)
