"""The page in a browser, when things come in an order that nobody asked for. Skipped where there is no chromium."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from gracile.serve.jobs import JobStore
from gracile.serve.viewing import create_viewer
from tests.serve.chromium import choose, chromium, opened, pixels, visit
from tests.serve.conftest import browsed, picture
from tests.serve.engines import ENDLESS
from tests.serve.nginx import LISTEN

pytest.importorskip("playwright", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
]


def test_a_case_that_is_chosen_while_another_loads_keeps_its_own_findings(volume_results: Path, tmp_path: Path) -> None:
    results = shutil.copytree(volume_results, tmp_path / "results")
    content = json.loads((results / "predictions.json").read_text())
    other = {**content["inputs"][0], "name": "other", "flags": [], "files": {"mask": "scan.nii.gz"}}
    content["inputs"].append(other)
    (results / "predictions.json").write_text(json.dumps(content))
    held: list[Any] = []
    with (
        browsed(create_viewer(results, tmp_path / "cache", listen=LISTEN)) as address,
        opened(address) as (page, watch),
    ):
        page.route("**/*.umd.js", lambda route: held.append(route))
        with page.expect_request("**/*.umd.js"):
            page.goto(address, wait_until="commit")
        choose(page, "other")
        page.locator(".head h2", has_text="other").wait_for()
        held[0].continue_()
        page.locator('#look[data-shown="other"]').wait_for()
        page.wait_for_load_state("networkidle")
        assert page.get_by_role("button", name="artery").count() == 1
        assert page.get_by_role("button", name="apex").count() == 0  # a landmark of the other case
        assert page.locator("#look").get_attribute("data-shown") == "other"
        watch.require_clean()


def test_a_layer_is_loaded_once_however_fast_its_controls_are_moved(volume_results: Path, tmp_path: Path) -> None:
    app = create_viewer(volume_results, tmp_path / "cache", listen=LISTEN)
    with browsed(app) as address, opened(address) as (page, watch):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        visit(page, address)
        page.locator('#look[data-shown="scan"]').wait_for()
        page.evaluate(
            "() => { const box = document.querySelector('[data-layer=Probabilities]'); box.click();"
            " const slider = box.closest('fieldset').querySelector('[type=range]');"
            " for (const value of [30, 40, 50]) { slider.value = value; slider.dispatchEvent(new Event('input')); } }"
        )
        pixels(page)
        assert sum("/files/probabilities" in url for url in asked) == 1
        watch.require_clean()


def test_many_uploads_leave_the_page_its_connections(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    app = make_app(tmp_path / "jobs")
    with browsed(app) as address, opened(address) as (page, watch):
        visit(page, address)
        slow = [upload(picture(value, first=ENDLESS), f"slow-{value}.png") for value in range(20, 27)]
        page.locator("#file").set_input_files([upload(picture(), "quick.png"), *slow])
        page.locator('#look[data-shown="quick.png"]').wait_for()
        page.get_by_text("waiting, 5 before it").wait_for()
        (worker,) = app.state.service.line._predictors
        os.kill(worker.process_id, signal.SIGKILL)
        page.locator('[data-state="failed"]').wait_for()
        assert page.locator('#look[data-shown="quick.png"]').count() == 1
        watch.require_clean()


def test_a_job_that_its_server_has_forgotten_is_given_up(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    app = make_app(tmp_path / "jobs")
    with browsed(app) as address, opened(address) as (page, _):
        page.route("**/events", lambda route: route.fulfill(status=404))
        visit(page, address)
        page.locator("#file").set_input_files(upload(picture(first=ENDLESS), "lost.png"))
        page.locator('[data-state="running"]').wait_for()
        store: JobStore = app.state.service.store
        for job in list(store._jobs.values()):
            store.remove(job)
        page.get_by_text("There is no such job; its time may be over.").wait_for()
