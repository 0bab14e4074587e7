"""Opens and uses a gallery; all times are measured inside the page, by its own clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

_VIEWPORT: ViewportSize = {"width": 1440, "height": 900}
_TYPED = "drawing 12"

# `behindFrame` resolves with the time when the next frame is drawn: a task posted in a frame's callback runs after it.
_STOPWATCH = """
  window.stopwatch = {
    behindFrame: () => new Promise((done) => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => done(performance.now());
      channel.port2.postMessage(null);
    })),
    async after(action) {
      const begin = performance.now();
      action();
      return await this.behindFrame() - begin;
    },
    async frames(count, step) {
      const times = [];
      let last = await new Promise(requestAnimationFrame);
      for (let number = 0; number < count; number += 1) {
        step(number);
        const now = await new Promise(requestAnimationFrame);
        times.push(now - last);
        last = now;
      }
      return times;
    },
  };
  new MutationObserver((_, observer) => {
    if (!document.querySelector(".card")) return;
    observer.disconnect();
    stopwatch.behindFrame().then((now) => { stopwatch.shown = now; });
  }).observe(document, { childList: true, subtree: true });
"""
_DECODED = """async () => {
  document.querySelector(".gallery").scrollIntoView();
  // Images far below are not requested.
  const seen = [...document.images].filter((image) => image.getBoundingClientRect().top < innerHeight);
  await Promise.all(seen.map((image) => image.decode()));
  return performance.now() / 1e3;
}"""
_TYPE = """async (text) => {
  const field = document.getElementById("view-q");
  const times = [];
  const texts = Array.from(text, (_, place) => text.slice(0, place + 1));
  for (const typed of [...texts, ...texts.slice(0, -1).reverse(), ""]) {
    times.push(await stopwatch.after(() => {
      field.value = typed;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }));
  }
  return times;
}"""
_SORT = """async () => {
  const field = document.getElementById("view-sort");
  const times = {};
  for (const option of [...field.options].reverse()) {
    times[option.value || "first"] = await stopwatch.after(() => {
      field.value = option.value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
  return times;
}"""
_SCROLL = """([count, through]) => {
  scrollTo(0, document.querySelector(".gallery").offsetTop);
  const way = document.documentElement.scrollHeight - innerHeight - scrollY;
  const step = through ? way / count : Math.min(innerHeight / 8, way / count);
  return stopwatch.frames(count, () => scrollBy(0, step));
}"""

# From run to run and back, with the cards on the screen.
_SLIDE = """(count) => {
  document.querySelector(".gallery").scrollIntoView();
  const slider = document.querySelector(".gallery > .timeline input");
  if (!slider) return [];
  const last = Number(slider.max);
  return stopwatch.frames(count, (number) => {
    const place = number % (2 * last);
    slider.value = String(place > last ? 2 * last - place : place);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
}"""


def measure_page(browser: Browser, page_file: Path, *, openings: int, frames: int) -> dict[str, Any]:
    """Open the page ``openings`` times, each in a new browser context. If ``frames`` is not 0, also use the last one.

    Returns seconds from the start of navigation until the first cards are drawn, and until their images are decoded;
    milliseconds from a key or a choice to the end of the frame that shows its effect; and milliseconds per frame while
    each of ``frames`` frames scrolls by an eighth of a window (``scrolling``), while a third as many frames go through
    the whole page (``dragging``), and while each of ``frames`` frames of a series shows another run (``sliding``).
    """
    cards: list[float] = []
    pictures: list[float] = []
    for number in range(openings):
        context = browser.new_context(viewport=_VIEWPORT, locale="en-US")
        context.add_init_script(_STOPWATCH)
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        cards.append(_shown(page))
        pictures.append(float(page.evaluate(_DECODED)))
        used = _use(page, frames) if frames and number == openings - 1 else {}
        context.close()
    return {"seconds_until_cards": cards, "seconds_until_pictures": pictures, **used}


def _shown(page: Page) -> float:
    look = "stopwatch.shown !== undefined ? stopwatch.shown : stopwatch.behindFrame().then(() => stopwatch.shown)"
    return float(page.evaluate(look)) / 1e3


def _use(page: Page, frames: int) -> dict[str, Any]:
    return {
        "search_ms": page.evaluate(_TYPE, _TYPED),
        "sort_ms": page.evaluate(_SORT),
        "frame_ms": {
            "scrolling": page.evaluate(_SCROLL, [frames, False]),
            "dragging": page.evaluate(_SCROLL, [frames // 3, True]),
            "sliding": page.evaluate(_SLIDE, frames),
        },
    }
