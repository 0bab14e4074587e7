"""The page as a file: one that holds its data as data, and by its own policy loads nothing but pictures."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.gallery.run_page import render_gallery
from tests.scheduler.report.gallery.made import MANIFEST, STAMP, mixed_rows
from tests.scheduler.rows import edited, planned, report_of, scored

WEB = Path(__file__).resolve().parents[4] / "scheduler" / "report" / "gallery" / "web"
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def page_of(data: dict[str, Any]) -> str:
    return render_page(title="a", scripts=("run_page",), data=data).decode()


def test_data_reads_back_as_it_was_whatever_it_holds() -> None:
    hostile = "</script><script>alert(1)</script><!-- & \u2028 \u2029 ]]> {{script}} \"'\\"
    data = {"page": {"text": hostile}, "pairs": [{"text": hostile}, {hostile: 1}]}
    page = page_of(data)
    (embedded,) = _DATA.findall(page)
    assert not set("<>&\u2028\u2029") & set(embedded)
    assert json.loads(embedded) == data


def test_the_policy_allows_this_script_and_style_and_nothing_else() -> None:
    page = page_of({})
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="(.*?)"', page)[0])
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("script-src") == f"'sha256-{digest(script)}'"
    assert rules.pop("style-src") == f"'sha256-{digest(style)}'"
    assert rules.pop("img-src") == "'self' file: data:"
    assert rules == {
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_title_is_escaped() -> None:
    page = render_page(title="<b>&\"'", scripts=(), data={}).decode()
    assert "<title>&lt;b&gt;&amp;&quot;&#x27;</title>" in page


def test_the_same_report_makes_the_same_bytes(tmp_path: Path) -> None:
    report = report_of(mixed_rows(), manifest=MANIFEST)
    pictures = Pictures(tmp_path / "runs" / STAMP, tmp_path)
    first, second = (render_gallery(report, pictures, DEFAULT_METRICS, STAMP) for _ in range(2))
    assert first == second


def test_a_text_with_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    report = report_of([planned("1"), edited("1"), scored("1", 1.0, response="\ud800")], manifest={"notes": ["\udfff"]})
    page = render_gallery(report, Pictures(tmp_path / "runs" / STAMP, tmp_path), DEFAULT_METRICS, STAMP)
    assert rb"\\ud800" in page


def test_scripts_make_no_html_out_of_text_and_name_no_address() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir()}
    for name, text in sources.items():
        if name.endswith(".js"):
            forbidden = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
            assert not forbidden, name
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[\w./]*", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_both_languages_have_every_word_that_the_scripts_ask_for() -> None:
    words = json.loads((WEB / "strings.json").read_text(encoding="utf-8"))
    assert words["en"].keys() == words["zh"].keys()
    for name, text in words["en"].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", words["zh"][name])), name
    asked: set[str] = set()
    families: set[str] = set()
    for path in WEB.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        asked |= set(re.findall(r"\bt\(\"([\w.]+)\"", text))
        families |= set(re.findall(r"\bt\(`([\w.]+\.)\$\{", text))
    assert asked <= words["en"].keys()
    for family in families:
        assert any(name.startswith(family) for name in words["en"]), family


@pytest.mark.parametrize("suffix", [".html", ".css", ".js", ".json"])
def test_the_parts_of_the_page_are_package_data(suffix: str) -> None:
    text = (WEB.parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert any(path.suffix == suffix for path in WEB.iterdir())
    assert f'"*{suffix}"' in text.split("[tool.setuptools.package-data]")[1].split("\n[")[0]
