"""Puts a page together: template, style, scripts, words and data in one file that loads nothing but pictures.

The page's own policy (CSP) allows this very script and style, by their hashes, and pictures; no other script, no
connection, no form, no frame. The browser also refuses to make HTML out of text (``require-trusted-types-for``).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec

_COMMON_SCRIPTS = (
    "base.js",
    "words.js",
    "figures.js",
    "chart.js",
    "view.js",
    "grid.js",
    "stage.js",
    "detail.js",
    "bar.js",
    "blocks.js",
    "page.js",
)
_ESCAPED = {
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    "\u2028".encode(): b"\\u2028",
    "\u2029".encode(): b"\\u2029",
}


def render_page(
    *, title: str, scripts: Sequence[str], head: Mapping[str, Any], items: Iterable[Mapping[str, Any]]
) -> bytes:
    """Return a page as UTF-8 HTML. ``scripts`` are this page's own, which run behind those that all pages share.

    ``head`` and ``items`` are what the scripts find as ``data``; their texts have to be encodable as UTF-8.
    """
    style = _resource("page.css")
    script = _script(tuple(scripts))
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src 'self' file: data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    before, behind = _resource("page.html").split("{{data}}")
    for name, content in (("policy", html.escape(policy)), ("title", html.escape(title)), ("style", style)):
        before = before.replace(f"{{{{{name}}}}}", content)
    parts = [before.encode(), b'{"head":', _data(head), b',"items":[']
    for number, item in enumerate(items):
        parts += [b",\n" if number else b"\n", _data(item)]
    parts += [b"\n]}", behind.replace("{{script}}", script).encode()]
    return b"".join(parts)


@cache
def _script(own: tuple[str, ...]) -> str:
    words = json.dumps(json.loads(_resource("strings.json")), ensure_ascii=True, separators=(",", ":"))
    texts = [_resource(name) for name in (*_COMMON_SCRIPTS, *own)]
    script = "\n".join(['(() => {\n"use strict";', f"const STRINGS = {words};", *texts, "})();"])
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script that holds the end of a script element can't be put into a page")
    return script


@cache
def _resource(name: str) -> str:
    return resources.files("scheduler.report.gallery").joinpath("web", name).read_text(encoding="utf-8")


def _data(value: Mapping[str, Any]) -> bytes:
    """The value as JSON that stays what it is inside of a script element."""
    encoded = msgspec.json.encode(value)
    for plain, escaped in _ESCAPED.items():
        encoded = encoded.replace(plain, escaped)
    return encoded


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
