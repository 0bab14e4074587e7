"""The browser of the scripts: the installed Chromium, headless, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)


def missing_browser() -> str | None:
    """Why there is no browser; None if there is one."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    return None if _program() else f"no Chromium is installed: none of {', '.join(_NAMES)} is in the PATH"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, until the block ends. Do not use playwright elsewhere in this thread meanwhile.

    Raises:
        RuntimeError: there is none.
    """
    reason = missing_browser()
    if reason is not None:
        raise RuntimeError(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_program(), args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def _program() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)
