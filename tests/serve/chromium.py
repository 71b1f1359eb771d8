"""Debian's chromium, started so that it talks to nobody but the server under test."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from tests.serve.nginx import NAME

FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--no-proxy-server",
    f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
]  # fmt: skip


def chromium() -> str | None:
    """Where it is; None when it is not installed."""
    return shutil.which("chromium")


class Watch:
    """What a page did that it should not have: errors on its console, requests that left the machine."""

    def __init__(self, page: Any, address: str) -> None:
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.bytes = 0
        page.on("console", lambda message: self._note(message))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._request(request.url, address))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and "GPU stall due to ReadPixels" not in message.text:
            self.errors.append(message.text)

    def _request(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            self.strangers.append(url)

    def require_clean(self) -> None:
        """Fail where anything was noted."""
        assert self.errors == []
        assert self.strangers == []


def visit(page: Any, address: str) -> None:
    """Go to a page and wait until its script listens."""
    page.goto(address)
    page.locator("html[data-ready]").wait_for()


@contextmanager
def opened(address: str, width: int = 1280, height: int = 1000) -> Iterator[tuple[Any, Watch]]:
    """A page of a browser with a fresh profile, not yet anywhere, and what is watched of it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        try:
            yield new_user(browser, address, width, height)
        finally:
            browser.close()


def new_user(browser: Any, address: str, width: int = 1280, height: int = 1000) -> tuple[Any, Watch]:
    """A page that shares nothing with the browser's others."""
    size: Any = {"width": width, "height": height}
    context = browser.new_context(viewport=size, accept_downloads=True, ignore_https_errors=True)
    context.set_default_timeout(120_000)
    page = context.new_page()
    return page, Watch(page, address)


def pixels(page: Any, selector: str = ".stage canvas") -> np.ndarray:
    """What is seen of an element, once it stands still."""

    def shot() -> np.ndarray:
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return np.asarray(Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB")).astype(int)

    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    last = shot()
    for _ in range(10):
        now = shot()
        if now.shape == last.shape and (now == last).all():
            break
        last = now
    return last


def changed(before: np.ndarray, after: np.ndarray) -> int:
    """Pixels that clearly differ. A picture whose place is rounded otherwise may be a row or column larger."""
    height, width = np.minimum(before.shape, after.shape)[:2]
    before, after = before[:height, :width], after[:height, :width]
    return int((np.abs(before - after).max(axis=2) > 24).sum())


def choose(page: Any, case: str) -> None:
    """Choose a case from the list as a user does."""
    page.locator("#list a", has=page.get_by_text(case, exact=True)).click()


def switch(page: Any, layer: str) -> None:
    """Switch a layer as a user does."""
    page.locator(f'[data-layer="{layer}"]').click()
