"""The page in a browser: Debian's chromium against a running server. Skipped where there is none."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from gracile.serve.app import create_app
from gracile.serve.jobs import JobStore
from gracile.serve.settings import ServeSettings
from gracile.serve.viewing import create_viewer
from tests.serve.chromium import changed, choose, chromium, new_user, opened, pixels, switch, visit
from tests.serve.conftest import browsed, picture
from tests.serve.nginx import BEHIND, LISTEN
from tests.serve.test_landmarks import write_results as write_landmarks
from tests.two_channels import random_bundle, recipe_of, write_data

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
]

DEMO = Path(__file__).parents[2] / "demo/retina/05_h.jpg"
SCRIPT = '<img src=x onerror="document.title=1">.png'


@pytest.fixture(scope="module")
def viewing(
    picture_results: Path, volume_results: Path, video_results: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Viewers of the results folders made by hand, by kind."""
    caches = tmp_path_factory.mktemp("caches")
    labels = picture_results.parent / "labels"
    with (
        browsed(create_viewer(picture_results, caches / "pictures", labels, listen=LISTEN)) as pictures,
        browsed(
            create_viewer(volume_results, caches / "volume", volume_results.parent / "labels", listen=LISTEN)
        ) as volume,
        browsed(create_viewer(video_results, caches / "video", listen=LISTEN)) as video,
    ):
        yield {"pictures": pictures, "volume": volume, "video": video}


def test_files_of_one_case_that_are_chosen_together_are_one_upload(tmp_path: Path) -> None:
    bundle = random_bundle(recipe_of("image"), tmp_path / "blobs")
    write_data(tmp_path, "image", 2)
    app = create_app(
        ServeSettings((str(bundle),), folder=tmp_path / "jobs", **BEHIND), JobStore(tmp_path / "jobs", 3600)
    )
    with browsed(app) as address, opened(address) as (page, watch):
        visit(page, address)
        assert "CASE_0001 is channel 2 (t2)" in page.locator("#about").inner_text()
        page.locator("#file").set_input_files([tmp_path / f"imagesTr/p{n}_000{c}.png" for n in (0, 1) for c in (1, 0)])
        page.locator('.jobs li[data-state="done"]').nth(1).wait_for(timeout=900_000)
        assert sorted(page.locator(".jobs li .name").all_inner_texts()) == ["p0.png", "p1.png"]
        page.locator("#file").set_input_files([tmp_path / "imagesTr/p0_0001.png"])
        page.get_by_text("lacks channel 1 (t1)").wait_for(timeout=900_000)
        watch.errors = [error for error in watch.errors if "422" not in error]
        watch.require_clean()


@pytest.fixture(scope="module")
def landmark_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of landmarks, its truth beside it."""
    return write_landmarks(tmp_path_factory.mktemp("points"))


def test_a_photograph_is_uploaded_and_its_layers_change_the_picture(tiny_bundle: Path, tmp_path: Path) -> None:
    photograph = tmp_path / DEMO.name
    with Image.open(DEMO) as whole:
        whole.resize((876, 584), Image.Resampling.BOX).save(photograph)
    settings = ServeSettings((str(tiny_bundle),), folder=tmp_path / "jobs", **BEHIND)
    app = create_app(settings, JobStore(tmp_path / "jobs", 3600), threads=1)
    with browsed(app) as address, opened(address) as (page, watch):
        visit(page, address)
        page.locator("#file").set_input_files(photograph)
        page.locator(".jobs li").wait_for()
        page.locator(f'#look[data-shown="{DEMO.name}"]').wait_for(timeout=900_000)
        shown = pixels(page)
        switch(page, "Found/artery")
        without = pixels(page)
        assert changed(shown, without) > 200
        switch(page, "Found/artery")
        assert changed(shown, pixels(page)) == 0
        switch(page, "Probability/vein")
        assert changed(shown, pixels(page)) > 200
        with page.expect_download() as download:
            page.get_by_role("link", name="Mask (PNG)").click()
        mask = np.asarray(Image.open(download.value.path()))
        assert download.value.suggested_filename == "05_h-mask.png"
        assert mask.shape == (584, 876)
        watch.require_clean()


def test_two_users_do_not_see_each_others_results(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    with (
        browsed(make_app(tmp_path / "jobs")) as address,
        opened(address) as (first, watch),
    ):
        visit(first, address)
        first.locator("#file").set_input_files(upload(picture(), "first.png"))
        first.locator('#look[data-shown="first.png"]').wait_for()
        other, watched = new_user(first.context.browser, address)
        visit(other, address)
        other.locator("#file").set_input_files(upload(picture(90), SCRIPT.replace("/", "")))
        other.locator("#look[data-shown]").wait_for()
        assert other.locator(".jobs .name").all_inner_texts() == [SCRIPT]
        assert first.locator(".jobs .name").all_inner_texts() == ["first.png"]
        assert other.title() == "Gracile"  # the script in the file's name was shown, not run
        assert other.locator("img").count() == 0
        watched.require_clean()
        watch.require_clean()


def test_a_keyboard_is_enough(make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path) -> None:
    with browsed(make_app(tmp_path / "jobs")) as address, opened(address) as (page, watch):
        visit(page, address)
        # The order to catch the chooser goes first: a key can overtake it, a question to the page cannot.
        with page.expect_file_chooser() as chooser:
            for wanted in ("a.skip", "#fold-strip", "#fold-panel", "#keys", "#model", "#probabilities", "#file"):
                page.keyboard.press("Tab")
                assert page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted), wanted
            page.keyboard.press("Space")
        chooser.value.set_files(upload(picture(), "typed.png"))
        page.locator('#look[data-shown="typed.png"]').wait_for()
        assert page.evaluate("document.activeElement.id") == "look"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "CANVAS"
        before = pixels(page)
        page.keyboard.press("+")
        page.keyboard.press("ArrowRight")
        assert changed(before, pixels(page)) > 500
        page.keyboard.press("0")
        assert changed(before, pixels(page)) == 0
        for _ in range(4):
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.layer") == "Found/artery"
        page.keyboard.press("Space")
        assert changed(before, pixels(page)) > 200
        watch.require_clean()


def test_truth_stands_beside_what_was_found(viewing: dict[str, str]) -> None:
    address = viewing["pictures"]
    with opened(address) as (page, watch):
        visit(page, address)
        choose(page, "plain")
        page.locator('#look[data-shown="plain"]').wait_for()
        before = pixels(page)
        switch(page, "Attention/gradcam")
        assert changed(before, pixels(page)) > 500
        page.get_by_role("button", name="Truth beside it").click()
        beside = pixels(page)
        half = beside.shape[1] // 2
        assert changed(beside[:, :half], beside[:, -half:]) > 500  # two pictures in the width of one, and they differ
        page.locator(".stage canvas").hover(position={"x": half // 2, "y": beside.shape[0] // 2})
        crossed = pixels(page)
        assert all(changed(beside[:, part], crossed[:, part]) > 20 for part in (slice(0, half), slice(half, None)))
        choose(page, "broken")
        page.get_by_text("It is empty.").last.wait_for()
        watch.require_clean()


def test_a_volume_is_shown_with_its_mask_and_a_finding_centers_it(viewing: dict[str, str]) -> None:
    address = viewing["volume"]
    with opened(address) as (page, watch):
        visit(page, address)
        page.locator('#look[data-shown="scan"]').wait_for()
        shown = pixels(page)
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 50
        switch(page, "Found")
        assert changed(shown, pixels(page)) > 500
        switch(page, "Found")
        switch(page, "Probabilities")
        assert changed(shown, pixels(page)) > 200
        page.get_by_role("button", name="apex").click()
        page.locator(".where", has_text="R 5.0 A -6.0 S 10.0 mm").wait_for()
        centered = pixels(page)
        assert changed(shown, centered) > 500
        page.locator(".stage canvas").focus()
        page.keyboard.press("ArrowLeft")  # the patient's right
        page.locator(".where", has_text="R 6.0 A -6.0 S 10.0 mm").wait_for()
        page.keyboard.press("ArrowRight")
        page.get_by_label("View", exact=True).select_option("3D")
        assert changed(centered, pixels(page)) > 500
        assert page.locator(".findings img").count() == 0
        with page.expect_download() as download:
            page.get_by_role("link", name="Mask (NIfTI)").click()
        assert download.value.suggested_filename == "scan-mask.nii.gz"
        watch.require_clean()


def test_landmarks_lead_to_their_places_and_stand_beside_the_truth(landmark_results: Path, tmp_path: Path) -> None:
    app = create_viewer(landmark_results, tmp_path / "cache", landmark_results.parent / "truth", listen=LISTEN)
    with browsed(app) as address, opened(address) as (page, watch):
        visit(page, address)
        page.locator('#look[data-shown="head"]').wait_for()
        assert page.get_by_role("button", name="apex").count() == 0  # it was not found, so it leads nowhere
        assert page.locator(".findings .missing").inner_text().split("\n") == [
            "apex", "not found", "probability 0.20 · not found: why"
        ]  # fmt: skip
        page.locator(".stage canvas").focus()
        for _ in range(4):
            page.keyboard.press("ArrowUp")
        aside = pixels(page)
        page.get_by_role("button", name="deep/turn").click()
        page.locator(".where", has_text="R 12.0 A -22.0 S 46.0 mm").wait_for()
        centered = pixels(page)
        assert changed(aside, centered) > 200
        for layer in ("Landmarks", "Truth"):
            switch(page, layer)
            assert changed(centered, pixels(page)) > 20, layer
            switch(page, layer)
        switch(page, "Probability")
        page.get_by_label("Landmark of Probability").select_option(label="deep/turn")
        heat = pixels(page)
        assert changed(centered, heat) > 20
        page.get_by_role("button", name="Truth beside it").click()
        page.locator('button[aria-pressed="true"]').wait_for()
        assert page.locator(".stage.volume").count() == 2
        watch.require_clean()


def test_the_page_is_small_and_prints_with_its_picture_and_without_its_controls(viewing: dict[str, str]) -> None:
    address = viewing["volume"]
    with opened(address) as (page, watch):
        visit(page, address)
        page.locator('#look[data-shown="scan"]').wait_for()
        taken = page.evaluate(
            "() => performance.getEntries().filter((e) => e.entryType === 'navigation' || e.name.includes('/static/'))"
            ".reduce((sum, e) => sum + e.transferSize, 0)"
        )
        assert 100_000 < taken < 3_000_000  # the viewer of volumes included
        page.emulate_media(media="print")
        assert not any(page.locator(name).first.is_visible() for name in ("#search", ".downloads", ".layers .slider"))
        assert page.locator(".measured").first.is_visible()
        page.wait_for_timeout(200)
        assert page.evaluate("() => document.querySelector('.stage canvas').toDataURL().length") > 20_000
        watch.require_clean()


def test_a_volumes_truth_stands_beside_it_and_looks_at_the_same_place(viewing: dict[str, str]) -> None:
    address = viewing["volume"]
    with opened(address) as (page, watch):
        visit(page, address)
        page.locator('#look[data-shown="scan"]').wait_for()
        page.get_by_role("button", name="Truth beside it").click()
        page.locator('button[aria-pressed="true"]').wait_for()
        beside = ".stage:nth-child(2) canvas"
        truth = pixels(page, beside)
        assert changed(truth, pixels(page)) > 200  # labels that lie three voxels aside
        page.get_by_role("button", name="apex").click()
        page.locator(".where", has_text="R 5.0 A -6.0 S 10.0 mm").wait_for()
        assert changed(truth, pixels(page, beside)) > 500
        page.get_by_role("button", name="Truth beside it").click()
        page.locator(beside).wait_for(state="detached")
        watch.require_clean()


def test_a_clip_is_shown_frame_by_frame_with_its_overlay(viewing: dict[str, str]) -> None:
    address = viewing["video"]
    with opened(address) as (page, watch):
        visit(page, address)
        page.locator('#look[data-shown="clip"]').wait_for()
        page.get_by_text("frame 0").wait_for()
        first = pixels(page)
        overlay = page.get_by_label("Opacity of the overlay")
        overlay.fill("0")
        bare = pixels(page)
        assert changed(first, bare) > 1000
        page.get_by_role("button", name="Next frame").click()
        page.get_by_role("button", name="Next frame").click()
        page.get_by_text("frame 2 · 0.20 s · artery · presence 0.20 · artery 200 px").wait_for()
        page.wait_for_function("() => document.querySelectorAll('video').length === 0")  # they are drawn, not shown
        assert changed(bare, pixels(page)) > 1000
        page.locator(".timeline").click(position={"x": 5, "y": 20})
        page.get_by_text("frame 0").wait_for()
        page.get_by_role("button", name="Play").click()
        page.get_by_text("frame 4").wait_for()
        watch.require_clean()
