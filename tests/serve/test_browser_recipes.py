"""Each recipe from upload to what the page shows, with the shipped models; ``--docs-images`` keeps the pictures."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel
import numpy as np
import pytest
from PIL import Image

from gracile.io import read_points
from gracile.io.video import open_video
from gracile.names import MODELS
from gracile.recipe import read_recipe
from gracile.serve.app import create_app
from gracile.serve.jobs import JobStore
from gracile.serve.settings import ServeSettings
from tests.serve.chromium import changed, chromium, opened, pixels, switch, visit
from tests.serve.conftest import ROOT, listening
from tests.serve.cord import packed
from tests.volumes_on_disk import write_series

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
]

DEMO = ROOT / "demo"
WIDTH = 900


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with all the shipped models."""
    jobs = tmp_path_factory.mktemp("jobs")
    with listening(create_app(ServeSettings(tuple(MODELS), folder=jobs), JobStore(jobs, 3600), threads=1)) as address:
        yield address


def demo_scan(name: str) -> tuple[np.ndarray, np.ndarray]:
    """int16 values and affine of a volume of the demos."""
    image: Any = nibabel.load(DEMO / name)  # type: ignore[attr-defined]
    return np.asarray(image.dataobj).astype(np.int16), image.affine


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """Keeps a picture of what is shown for the documents, when that is asked for."""

    def kept(page: Any, name: str) -> None:
        if not request.config.getoption("--docs-images"):
            return
        page.wait_for_timeout(500)
        shot = Image.open(io.BytesIO(page.locator("#look").screenshot())).convert("RGB")
        shot = shot.resize((WIDTH, round(shot.height * WIDTH / shot.width)), Image.Resampling.LANCZOS)
        shot.save(ROOT / f"docs/images/{name}.jpg", quality=72, optimize=True)

    return kept


def sent(page: Any, address: str, model: str, path: Path) -> None:
    """Upload a file to a model and wait until it is shown."""
    visit(page, address)
    page.locator("#model").select_option(model)
    page.locator("#folder" if path.is_dir() else "#file").set_input_files(path)
    page.locator(".jobs li").wait_for()
    page.locator(f'#look[data-shown="{path.name}"]').wait_for(timeout=900_000)


def test_a_fundus_photograph(address: str, tmp_path: Path, keep: Callable[..., None]) -> None:
    photograph = tmp_path / "photograph.png"
    with Image.open(DEMO / "retina/05_h.jpg") as whole:
        whole.resize((876, 584), Image.Resampling.BOX).save(photograph)
    with opened(address, 1200, 900) as (page, watch):
        sent(page, address, "retina-av", photograph)
        shown = pixels(page)
        keep(page, "page-retina")
        switch(page, "Found/artery")
        assert changed(shown, pixels(page)) > 500
        assert page.get_by_role("row", name="Tortuosity").count() > 0
        watch.require_clean()


def test_an_ultrasound_frame(address: str, keep: Callable[..., None]) -> None:
    with opened(address, 1200, 900) as (page, watch):
        sent(page, address, "nerve-ultrasound", DEMO / "ultrasound/0080.png")
        shown = pixels(page)
        keep(page, "page-ultrasound")
        assert page.get_by_role("row", name="Equivalent diameter").count() > 0
        switch(page, "Found/nerve")
        assert changed(shown, pixels(page)) > 500
        watch.require_clean()


def test_a_clip(address: str, keep: Callable[..., None]) -> None:
    with opened(address, 1200, 900) as (page, watch):
        sent(page, address, "surgical-tool", DEMO / "surgery/larynx.avi")
        for _ in range(3):
            page.get_by_role("button", name="Next frame").click()
        page.get_by_text("frame 3 ·").wait_for()
        painted = pixels(page)
        keep(page, "page-video")
        page.get_by_label("Opacity of the overlay").fill("0")
        assert changed(painted, pixels(page)) > 500
        with page.expect_download() as download:
            page.get_by_role("link", name="Video (MP4)").click()
        assert download.value.suggested_filename == "larynx-video.mp4"
        with open_video(Path(download.value.path())) as video:
            assert len(list(video)) > 3
        watch.require_clean()


def test_what_a_gate_looked_at(address: str, tmp_path: Path) -> None:
    with open_video(DEMO / "surgery/larynx.avi") as video:
        Image.fromarray(next(iter(video)).image).save(tmp_path / "frame.png")
    with opened(address) as (page, watch):
        sent(page, address, "surgical-tool", tmp_path / "frame.png")
        shown = pixels(page)
        switch(page, "Attention/gradcam")
        assert changed(shown, pixels(page)) > 500
        with page.expect_download() as download:
            page.get_by_role("link", name="Gate's attention (PNG)").click()
        with Image.open(download.value.path()) as heat:
            assert heat.size == Image.open(tmp_path / "frame.png").size
        watch.require_clean()


def test_a_volume(address: str, tmp_path: Path, keep: Callable[..., None]) -> None:
    with opened(address, 1200, 900) as (page, watch):
        sent(page, address, "spinal-cord", DEMO / "spinal-cord/t2.nii.gz")
        shown = pixels(page)
        keep(page, "page-cord")
        for layer in ("Found", "centerline"):
            switch(page, layer)
            assert changed(shown, pixels(page)) > 100, layer
            switch(page, layer)
            assert changed(shown, pixels(page)) < 20, layer
        switch(page, "Probabilities")
        probable = pixels(page)
        assert changed(shown, probable) > 100
        page.get_by_label("Threshold of Probabilities in percent").fill("95")
        assert changed(probable, pixels(page)) > 20
        switch(page, "Probabilities")
        page.get_by_label("Section").fill("25")
        assert changed(shown, pixels(page)) > 500
        page.get_by_text("mm below the upper end ·").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Mask (NIfTI)").click()
        mask: Any = nibabel.load(Path(download.value.path()).rename(tmp_path / "mask.nii.gz"))  # type: ignore[attr-defined]
        assert np.asarray(mask.dataobj).any()
        watch.require_clean()


def test_the_folder_of_a_dicom_series(address: str, tmp_path: Path) -> None:
    series = write_series(tmp_path / "series", *demo_scan("spinal-cord/t2.nii.gz"))
    with opened(address) as (page, watch):
        sent(page, address, "spinal-cord", series)
        assert len(np.unique(pixels(page).reshape(-1, 3), axis=0)) > 50
        with page.expect_download() as download:
            page.get_by_role("link", name="Segmentation (DICOM-SEG)").click()
        assert download.value.suggested_filename == "series-segmentation.seg.dcm"
        assert hd.seg.segread(download.value.path()).pixel_array.any()
        watch.require_clean()


def test_landmarks(address: str, tmp_path: Path, keep: Callable[..., None]) -> None:
    with opened(address, 1200, 900) as (page, watch):
        sent(page, address, "skull-landmarks", DEMO / "skull/C57BL_6NJ.nii.gz")
        before = pixels(page)
        finding = page.get_by_role("button", name=re.compile(r"^49\b"))
        finding.click()
        assert changed(before, pixels(page)) > 500
        place = finding.locator("small").first.inner_text()
        page.locator(".where", has_text=" ".join(place.split())).wait_for()
        keep(page, "page-landmarks")
        centered = pixels(page)
        switch(page, "Landmarks")
        assert changed(centered, pixels(page)) > 50
        switch(page, "Landmarks")
        switch(page, "Probability")
        page.get_by_label("Landmark of Probability").select_option(label="49")
        assert changed(centered, pixels(page)) > 50
        with page.expect_download() as download:
            page.get_by_role("link", name="Landmarks (Slicer markups)").click()
        assert download.value.suggested_filename == "C57BL_6NJ-landmarks.mrk.json"
        points = read_points(Path(download.value.path()).rename(tmp_path / download.value.suggested_filename))
        assert list(points.labels) == read_recipe("skull-landmarks").landmark_names
        watch.require_clean()


def test_a_script_in_tags_of_dicom_files_is_never_run(address: str, tmp_path: Path) -> None:
    script = '<img src=x onerror="document.title=1">'
    tags = dict.fromkeys(("PatientID", "SeriesDescription", "StudyDescription", "ProtocolName"), script)
    tags["PatientName"] = "<b>Doe</b>"
    values, affine = demo_scan("skull/C57BL_6NJ.nii.gz")
    one = write_series(tmp_path / "one", values[::4, ::4, ::4], affine @ np.diag([4, 4, 4, 1]), **tags)
    both = write_series(tmp_path / "both", values[::8, ::8, ::8], affine, **tags)
    write_series(both, values[::8, ::8, ::8], affine, number=2, first=500, **tags)
    with opened(address) as (page, watch):
        sent(page, address, "skull-landmarks", packed(one, tmp_path / "one.zip"))
        shown = page.content()
        assert not any(secret in shown for secret in ("onerror", "Doe"))
        page.locator("#file").set_input_files(packed(both, tmp_path / "both.zip"))
        page.locator(".jobs .bad").wait_for()
        assert "2 series" in page.locator(".jobs .bad").inner_text()
        assert page.title() == "Gracile"
        assert page.locator("img").count() == 0
        watch.errors = [error for error in watch.errors if "422" not in error]  # the refusal, as browsers note it
        watch.require_clean()
