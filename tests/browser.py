"""A real browser for tests of pages: Chromium as it is installed, headless, one for the whole session.

While it runs, asyncio takes the main thread for one with a running loop: no test here uses asyncio.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.browser import chromium as installed_chromium
from scripts.browser import missing_browser
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

VIEWPORT: ViewportSize = {"width": 1280, "height": 900}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser is several processes, so its tests are slow ones."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, or a skip that says what is missing."""
    reason = missing_browser()
    if reason is not None:
        pytest.skip(reason)
    with installed_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shared_visit(chromium: Browser) -> Iterator[Visit]:
    """The visit that most tests share: a fresh one costs a process, and takes longer than many a test."""
    with visit(chromium) as made:
        yield made


@pytest.fixture
def visitor(shared_visit: Visit) -> Iterator[Visit]:
    """A visitor without memory, of whose visit nothing is complained about."""
    shared_visit.forget()
    yield shared_visit
    assert shared_visit.complaints == []


class Visit:
    """A page that was opened, with all that it asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._refuse)

    def forget(self) -> None:
        """Forget all that was seen, chosen and stored."""
        if self.page.url.startswith("file:"):
            self.page.evaluate("localStorage.clear()")
        self.page.goto("about:blank")
        self.page.emulate_media(media="null")
        self.page.set_viewport_size(VIEWPORT)
        self.requests.clear()
        self.complaints.clear()

    def wait_for_pictures(self) -> None:
        """Wait until every picture that is asked for has come, or failed to."""
        self.wait_for("[...document.images].every((image) => image.complete)")

    def wait_for(self, condition: str) -> None:
        """Wait until this expression of JavaScript is true. (The page's policy forbids what playwright would do.)"""
        wait_until(lambda: self.page.evaluate(condition), seconds=10)

    def _refuse(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog was opened: {dialog.message}")
        dialog.dismiss()

    def open(self, path: Path, view: str = "") -> None:
        """Open the file, from disk, and wait until the page has drawn itself."""
        self.page.goto("about:blank")
        self.page.goto(path.absolute().as_uri() + (f"#{view}" if view else ""))
        self.page.wait_for_selector("html[data-ready]", state="attached")


@contextmanager
def visit(browser: Browser, **settings: Any) -> Iterator[Visit]:
    """A fresh visitor, without memory: ``settings`` are those of a playwright context."""
    context = browser.new_context(**{"viewport": VIEWPORT, "locale": "en-US", **settings})
    try:
        page = context.new_page()
        page.set_default_timeout(10_000)
        yield Visit(page)
    finally:
        context.close()
