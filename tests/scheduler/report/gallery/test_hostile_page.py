"""A malicious benchmark in the gallery: everything shows as text, and nothing of it is carried out or asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from scheduler.base.text import one_line
from scheduler.report.series.writing import write_series
from scheduler.store.rows import Row
from tests.browser import Visit, visit
from tests.scheduler.report.gallery.made import run_with_pictures
from tests.scheduler.rows import edited, failed, planned, scored

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PWN = "window.pwned=1;alert(1)"
ATTACKS = [
    f"<script>{PWN}</script>",
    f"</script><script>{PWN}</script>",
    f"<img src=x onerror='{PWN}'>",
    f"<svg onload={PWN}>",
    f"<a href='javascript:{PWN}'>click</a><iframe src='https://example.com/'></iframe>",
    f'"><img src=https://example.com/a.png onerror={PWN}>',
    f"'-{PWN}-'",
    "<!-- <script> -->]]>&lt;script&gt;{{data}}{{script}}",
    "`${window.pwned=1}`",
    "\u202egnp.exe\u2066 \u200b\u2028\u2029 \x00\x07\x1b[31mred\x1b[0m \x9b31m \ufeff\U000e0041",
    "__proto__",
    "constructor",
]
IDS = ["a'b\"c", "50%", "#1", "?x=1&y=2", "<b>id<b>", "..a", "javascript:alert(1)", "\u202eabc", "x" * 200, "__proto__"]


def attacked() -> list[Row]:
    rows: list[Row] = []
    for number, attack in enumerate(ATTACKS):
        name = f"{IDS[number % len(IDS)]} {number}"
        category = re.sub(r"[/\\\x00-\x1f]", "", attack)[:60]  # a name holds no slash and no control character
        plan = msgspec.structs.replace(planned(name, category), instruction=attack, description=attack)
        edit = msgspec.structs.replace(
            edited(name, category), image=f"images/{number}.png", worker=attack, device=attack
        )
        score = scored(name, 5.0, category, response=attack, aspects={attack: 1.0, "__proto__": 2.0}, method=attack)
        rows += [plan, edit, score, planned(f"failed {name}", category)]
        rows.append(failed(f"failed {name}", category, kind=attack, message=attack))
    lines = "line one\r\nline\ttwo\rline three"
    rows += [planned("lines", "long"), edited("lines", "long"), scored("lines", 1.0, "long", response=lines)]
    long = "word " * 20_000
    rows += [msgspec.structs.replace(planned("long", "long"), instruction=long, description="y" * 100_000)]
    return rows


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    manifest = {
        "notes": ATTACKS,
        "editor": {"type": ATTACKS[2], "model_name": ATTACKS[5]},
        "data": {"path": ATTACKS[0]},
        "started": ATTACKS[1],
        "extra": {attack: [attack, {attack: attack}] for attack in ATTACKS},
    }
    return run_with_pictures(tmp_path_factory.mktemp("hostile"), attacked(), manifest=manifest)


@pytest.mark.slow
def test_nothing_runs_and_nothing_is_requested(chromium: Browser, page_file: Path) -> None:
    with visit(chromium, viewport={"width": 1400, "height": 6000}) as visitor:
        visitor.open(page_file)
        page = visitor.page
        page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
        assert page.locator(".card").count() == 2 * len(ATTACKS) + 2
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        for _ in ATTACKS:
            page.keyboard.press("j")
        page.keyboard.press("v")
        page.keyboard.press("v")
        page.keyboard.press("Escape")
        page.get_by_label("Search").fill("<script>")
        visitor.wait_for_pictures()
        assert page.evaluate("window.pwned") is None
        assert page.evaluate("({}).polluted === undefined && Object.keys(Object.prototype).length") == 0
        elements = page.evaluate(
            "[...document.querySelectorAll('script, iframe, object, embed, base, form')].map((n) => n.id)"
        )
        assert elements == ["data", ""]
        attributes = page.evaluate("[...document.querySelectorAll('*')].flatMap((n) => n.getAttributeNames())")
        assert not [name for name in attributes if name.startswith("on")]
        schemes = page.evaluate(
            "[...new Set([...document.querySelectorAll('a, img')].map((n) => (n.href || n.src).split(':')[0]))]"
        )
        assert set(schemes) <= {"file"}
        assert all(url.startswith(("file:", "data:")) for url in visitor.requests)
        assert visitor.complaints == []


@pytest.mark.slow
def test_nothing_runs_on_the_page_of_a_series(chromium: Browser, tmp_path: Path) -> None:
    runs = []
    for number in range(2):
        stamp = f"20260101_00000{number}"
        model = {
            "model_name": f"{ATTACKS[number]}/checkpoint-{number}",
            "parameters": dict.fromkeys(ATTACKS, number),
        }
        run_with_pictures(tmp_path, attacked(), stamp=stamp, manifest={"notes": ATTACKS, "editor": model}, drawn=3)
        runs.append(tmp_path / "runs" / stamp)
    write_series(runs, tmp_path, plots=False)
    with visit(chromium, viewport={"width": 1400, "height": 6000}) as visitor:
        visitor.open(tmp_path / "series.html", "metric=dimension%3A__proto__")
        page = visitor.page
        page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true })")
        assert page.locator(".readout-value").inner_text() == "2.00"
        for radio in page.get_by_role("radio").all()[:4]:
            radio.click()
        page.get_by_label("Show", exact=True).select_option("strip")
        page.locator(".card").first.click()
        for key in ("ArrowLeft", "ArrowLeft", "j", "v", "j", "v", "Escape"):
            page.keyboard.press(key)
        text = page.inner_text("main")
        assert all(attack in text for attack in ATTACKS[:9])
        assert page.evaluate("window.pwned") is None
        assert not {"\u202e", "\u200b", "\x1b"} & set(text)
        assert all(url.startswith(("file:", "data:")) for url in visitor.requests)
        assert visitor.complaints == []


@pytest.mark.slow
def test_markup_shows_as_text_and_what_does_not_print_as_escapes(chromium: Browser, page_file: Path) -> None:
    with visit(chromium, viewport={"width": 1400, "height": 6000}) as visitor:
        visitor.open(page_file)
        text = visitor.page.inner_text("body")
        for attack in ATTACKS[:9]:
            assert attack in text
        assert "\\u202egnp.exe\\u2066" in text
        assert "\\x1b[31mred" in text
        assert "\\u202eabc" in text
        assert "\\ufeff\\U000e0041" in text
        shown = visitor.page.evaluate(
            "[document.title, ...[...document.querySelectorAll('[title], [aria-label], [alt]')].flatMap("
            "(node) => ['title', 'aria-label', 'alt'].map((name) => node.getAttribute(name) ?? ''))].join('')"
        )
        unprintable = set("\u202e\u2066\u200b\u2028\u2029\x00\x07\x1b\x9b\ufeff\U000e0041")
        assert not unprintable & set(text + shown)


@pytest.mark.slow
def test_the_same_characters_become_escapes_as_in_the_terminal(visitor: Visit, tmp_path: Path) -> None:
    characters = [chr(code) for code in (*range(0x3000), *range(0xFE00, 0x10000), *range(0xE0000, 0xE0080))]
    texts = {str(start): "".join(characters[start : start + 4000]) for start in range(0, len(characters), 4000)}
    rows: list[Row] = [
        msgspec.structs.replace(planned(name, "a"), instruction=instruction) for name, instruction in texts.items()
    ]
    page_file = run_with_pictures(tmp_path, rows)
    for name, instruction in texts.items():
        visitor.open(page_file, f"pair=a%2F{name}")
        expected = [part if part in "\n\t" else one_line(part) for part in instruction.replace("\r", "\n")]
        assert visitor.page.locator("dialog.detail dd.instruction bdi").text_content() == "".join(expected)


def test_line_breaks_and_tabs_of_a_text_stay(visitor: Visit, page_file: Path) -> None:
    visitor.open(page_file, "q=lines&pair=long%2Flines")
    assert "line one\nline\ttwo\nline three" in visitor.page.locator("dialog.detail").inner_text()


def test_a_hundred_kilobytes_are_cut_and_said_to_be(visitor: Visit, page_file: Path) -> None:
    visitor.open(page_file, "q=long&pair=long%2Flong")
    text = visitor.page.locator("dialog.detail").inner_text()
    assert text.count("word ") == pytest.approx(1600, abs=2)
    assert text.count("the whole text has 100,000 characters") == 2


@pytest.mark.slow
def test_pairs_with_hostile_names_are_found_by_their_address(visitor: Visit, page_file: Path) -> None:
    visitor.open(page_file)
    visitor.page.locator(".card").first.click()
    name = visitor.page.locator("dialog.detail h2 .name").inner_text()
    view = visitor.page.url.partition("#")[2]
    visitor.open(page_file, view)
    assert visitor.page.locator("dialog.detail h2 .name").inner_text() == name
    pictures = visitor.page.evaluate(
        "Promise.all([...document.querySelectorAll('.card img')].slice(0, 6)"
        ".map((image) => image.decode().then(() => image.naturalWidth, () => 0)))"
    )
    assert pictures == [64] * 6
