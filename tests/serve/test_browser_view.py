"""`gracile view` in a browser: the picture first, for each recipe, on a desk and on a phone.

The pictures of the page that these tests make lie in the folder that ``--page-images`` names.
"""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from gracile import api
from gracile.serve.viewing import create_viewer
from tests.serve.chromium import changed, choose, chromium, new_user, opened, pixels, switch, visit
from tests.serve.conftest import ROOT, browsed, picture, write_results
from tests.serve.nginx import LISTEN

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
]

DEMO = ROOT / "demo"
SIZES = ((1280, 800), (390, 844))
RECIPES = {
    "retina-av": ("retina/05_h.jpg", "retina/05_g.jpg"),
    "nerve-ultrasound": ("ultrasound/0080.png", "ultrasound/0045.png", "ultrasound/0115.png"),
    "surgical-tool": ("surgery/larynx.avi",),
    "spinal-cord": ("spinal-cord/t2.nii.gz",),
    "skull-landmarks": ("skull/C57BL_6NJ.nii.gz",),
}
DOCUMENTED = "view-retina-av-1280x800"
WHOLE = """() => {
  const box = document.querySelector(".stage").getBoundingClientRect();
  const seen = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const page = document.scrollingElement;
  return {
    inside: box.x >= 0 && box.y >= 0 && box.right <= innerWidth && box.bottom <= innerHeight,
    area: box.width * box.height,
    free: Boolean(seen.closest(".stage")),
    scrolls: page.scrollHeight > innerHeight || page.scrollWidth > innerWidth,
  };
}"""


@pytest.fixture
def keep_page(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any, str], None]:
    """Keeps a picture of all that is on the screen, one of them for the documents when that is asked for."""

    def kept(page: Any, name: str) -> None:
        folder = request.config.getoption("--page-images") or tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")
        if name == DOCUMENTED and request.config.getoption("--docs-images"):
            with Image.open(folder / f"{name}.png") as shot:
                shot.convert("RGB").save(ROOT / "docs/images/view.jpg", quality=78, optimize=True)

    return kept


@pytest.fixture(scope="module", params=RECIPES)
def recipe_view(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A recipe's name, and a viewer of what its shipped model finds in the demo's cases."""
    base = tmp_path_factory.mktemp(request.param)
    inputs = []
    for name in RECIPES[request.param]:
        path = base / Path(name).name
        if path.suffix == ".jpg":
            with Image.open(DEMO / name) as whole:
                whole.resize((876, 584), Image.Resampling.BOX).save(path)
        else:
            shutil.copy(DEMO / name, path)
        inputs.append(str(path))
    api.predict(request.param, inputs, base / "out", report=False)
    with browsed(create_viewer(base / "out", base / "cache", listen=LISTEN)) as address:
        yield request.param, address


def test_the_chosen_picture_is_wholly_on_the_screen(
    recipe_view: tuple[str, str], keep_page: Callable[[Any, str], None]
) -> None:
    recipe, address = recipe_view
    for width, height in SIZES:
        with opened(address, width, height) as (page, watch):
            visit(page, address)
            page.locator("#look[data-shown]").wait_for()
            shown = pixels(page)
            assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 50
            whole = page.evaluate(WHOLE)
            assert whole["inside"], (width, whole)
            assert whole["free"], (width, whole)
            assert not whole["scrolls"], (width, whole)
            assert whole["area"] > (0.3 if width > height else 0.2) * width * height
            assert page.locator("#strip").is_visible() == (width > height)  # on a phone it is folded away
            if width > height:
                page.wait_for_function("() => document.querySelector('.thumb img')?.naturalWidth > 0")
            keep_page(page, f"view-{recipe}-{width}x{height}")
            watch.require_clean()


def test_keys_lead_from_case_to_case_and_the_address_follows(picture_results: Path, tmp_path: Path) -> None:
    app = create_viewer(picture_results, tmp_path / "cache", picture_results.parent / "labels", listen=LISTEN)
    with browsed(app) as address, opened(address, 1280, 800) as (page, watch):
        visit(page, address)
        page.get_by_text("It is empty.").wait_for()  # the failed case needs a look first
        for key, name in (("j", "flagged"), ("ArrowRight", "plain"), ("k", "flagged")):
            page.keyboard.press(key)
            page.locator(f'#look[data-shown="{name}"]').wait_for()
            page.wait_for_url(f"**/#case={name}*")
            assert page.locator("#list [aria-current] .name").inner_text() == name
        page.keyboard.press("?")
        page.get_by_role("dialog", name="Keys").wait_for()
        page.keyboard.press("j")  # while help is read, nothing else changes
        page.keyboard.press("Escape")
        assert page.locator("#look").get_attribute("data-shown") == "flagged"
        page.keyboard.press("/")
        page.keyboard.type("pla")
        page.get_by_text("1 of 4 cases").wait_for()
        assert page.locator("#list .name").all_inner_texts() == ["plain"]
        watch.require_clean()


def test_a_copied_address_shows_the_same_picture(picture_results: Path, tmp_path: Path) -> None:
    app = create_viewer(picture_results, tmp_path / "cache", picture_results.parent / "labels", listen=LISTEN)
    with browsed(app) as address, opened(address, 1280, 800) as (page, watch):
        visit(page, address)
        choose(page, "plain")
        page.locator('#look[data-shown="plain"]').wait_for()
        usual = pixels(page)
        switch(page, "Truth/vein")
        page.get_by_label("Opacity of Truth").fill("40")
        for key in ("+", "+", "ArrowRight", "ArrowUp"):
            page.locator(".stage canvas").press(key)
        page.get_by_role("button", name="Truth beside it").click()
        page.wait_for_url("**beside=1*")
        copied, watched = new_user(page.context.browser, address, 1280, 800)
        visit(copied, page.url)
        copied.locator('#look[data-shown="plain"]').wait_for()
        assert changed(usual, pixels(page)) > 500
        assert changed(pixels(page), pixels(copied)) < 50
        watched.require_clean()
        watch.require_clean()


def test_a_copied_address_shows_the_same_slices_and_the_same_frame(
    volume_results: Path, video_results: Path, tmp_path: Path
) -> None:
    with (
        browsed(create_viewer(volume_results, tmp_path / "volume", listen=LISTEN)) as address,
        opened(address) as (page, watch),
    ):
        visit(page, address)
        page.locator('#look[data-shown="scan"]').wait_for()
        usual = pixels(page)
        page.get_by_role("button", name="apex").click()
        page.get_by_label("View", exact=True).select_option("Axial")
        switch(page, "centerline")
        page.get_by_role("button", name="Zoom in").click()
        page.mouse.move(0, 0)  # which leaves the buttons as they were
        page.wait_for_url("**zoom=*")
        copied, watched = new_user(page.context.browser, address)
        visit(copied, page.url)
        copied.locator('#look[data-shown="scan"]').wait_for()
        copied.locator(".where", has_text="R 5.0 A -6.0 S 10.0 mm").wait_for()
        assert changed(usual, pixels(page)) > 5000
        assert changed(pixels(page), pixels(copied)) < 1500  # the cross may lie between two pixels
        watched.require_clean()
        watch.require_clean()
    with (
        browsed(create_viewer(video_results, tmp_path / "video", listen=LISTEN)) as address,
        opened(address) as (page, watch),
    ):
        visit(page, f"{address}/#case=clip&frame=3")
        page.get_by_text("frame 3").wait_for()
        page.keyboard.press(",")
        page.wait_for_url("**frame=2*")
        watch.require_clean()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A viewer of a thousand cases."""
    base = tmp_path_factory.mktemp("many")
    (base / "case.png").write_bytes(picture())
    Image.fromarray(np.ones((80, 120), np.uint8)).save(base / "mask.png")
    records = [
        {
            "name": f"case {number}", "input": str(base / "case.png"), "status": "found", "files": {"mask": "mask.png"},
            "flags": ["blurred"] if number == 500 else [], "gates": {"presence": number / 1000},
            "measurements": [
                {"name": "area", "value": (number * 7) % 1000, "unit": "px", "structure": "artery", "note": ""}
            ],
        }
        for number in range(1000)
    ]  # fmt: skip
    with browsed(create_viewer(write_results(base, records), base / "cache", listen=LISTEN)) as address:
        yield address


def test_a_thousand_cases_are_ordered_and_filtered_by_any_column(many: str) -> None:
    with opened(many, 1280, 800) as (page, watch):
        visit(page, many)
        page.locator('#look[data-shown="case 500"]').wait_for()  # the flagged one
        assert page.locator("#list li").count() < 40  # only rows in sight exist
        page.locator("#sort").select_option("artery.area_px")
        first = page.locator("#list a").first
        assert first.get_attribute("aria-label") == "case 0, found, Area (px) 0"
        page.get_by_role("button", name="The other way round").click()
        assert first.locator(".name").inner_text() == "case 857"  # 857 * 7 = 5999
        page.get_by_role("button", name="Filter", exact=True).click()
        page.get_by_label("Filter by").select_option("gate.presence")
        page.get_by_label("presence: least").fill("0.1")
        page.get_by_label("presence: most").fill("0.2")
        page.get_by_text("101 of 1000 cases").wait_for()
        page.wait_for_url(lambda url: '"0.1","0.2"' in unquote(url))  # the address follows a moment later
        page.reload()
        page.get_by_text("101 of 1000 cases").wait_for()
        assert page.locator("#sort").input_value() == "artery.area_px"
        page.get_by_role("button", name="Remove this filter").click()
        page.locator("#list").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        page.locator("#list a", has=page.get_by_text("case 0", exact=True)).wait_for()
        watch.require_clean()


def test_on_a_phone_the_list_comes_and_goes(many: str) -> None:
    with opened(many, 390, 844) as (page, watch):
        visit(page, many)
        page.locator("#look[data-shown]").wait_for()
        assert not page.locator("#strip").is_visible()
        page.get_by_role("button", name="List").click()
        page.locator("#search").fill("case 77")
        choose(page, "case 777")
        page.locator('#look[data-shown="case 777"]').wait_for()
        page.locator("#strip").wait_for(state="hidden")
        watch.require_clean()


def test_thumbnails_are_small_pictures_of_what_was_found(many: str) -> None:
    with opened(many) as (page, _):
        answer = page.goto(f"{many}/api/cases/3/thumbnail")
        drawn = np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB")).astype(int)
    assert max(drawn.shape) <= 160
    assert (drawn[..., 0] - drawn[..., 2] > 60).mean() > 0.5  # the artery's red
