"""Makes a page: template, style, scripts, texts and data in one file that loads nothing but pictures.

The page's policy (CSP) allows its own script and style, by their hashes, and pictures; no other script, no connection,
no form, no frame. The browser also refuses to make HTML from text (``require-trusted-types-for``).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec

_COMMON_SCRIPTS = ("base", "words", "figures", "chart", "view", "grid", "stage", "detail", "bar", "blocks", "page")
_ESCAPED = {character.encode(): f"\\u{ord(character):04x}".encode() for character in "<>&\u2028\u2029"}


def render_page(*, title: str, scripts: Sequence[str], data: Mapping[str, Any], styles: Sequence[str] = ()) -> bytes:
    """Return a page as UTF-8 HTML. ``scripts`` and ``styles`` name this page's own, which come after those that all
    pages share.

    The scripts read ``data`` as JSON; its texts must be encodable as UTF-8.
    """
    style = "".join(_resource(f"{name}.css") for name in ("page", *styles))
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
    before, after = _resource("page.html").split("{{data}}")
    for name, content in (("policy", html.escape(policy)), ("title", html.escape(title)), ("style", style)):
        before = before.replace(f"{{{{{name}}}}}", content)
    return before.encode() + _json(data) + after.replace("{{script}}", script).encode()


@cache
def _script(own: tuple[str, ...]) -> str:
    strings = json.dumps(json.loads(_resource("strings.json")), ensure_ascii=True, separators=(",", ":"))
    sources = [_resource(f"{name}.js") for name in (*_COMMON_SCRIPTS, *own)]
    script = "\n".join(['(() => {\n"use strict";', f"const STRINGS = {strings};", *sources, "})();"])
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script with the end tag of a script element cannot be part of a page")
    return script


@cache
def _resource(name: str) -> str:
    return resources.files("scheduler.report.gallery").joinpath("web", name).read_text(encoding="utf-8")


def _json(value: Mapping[str, Any]) -> bytes:
    """The value as JSON that is safe inside of a script element."""
    encoded = msgspec.json.encode(value)
    for plain, escaped in _ESCAPED.items():
        encoded = encoded.replace(plain, escaped)
    return encoded


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
