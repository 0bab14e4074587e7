"""The Markdown as a renderer sees it: every table whole, every cell the text that it is of, nothing made by data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from scheduler.base.text import one_line
from scheduler.report.build import build_report
from scheduler.report.figures import DEFAULT_METRICS
from scheduler.report.markdown import render_markdown
from scheduler.report.model import Report
from scheduler.store.human_scores import HumanScore, HumanScores
from scheduler.store.results import Expected
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, failed, planned, scored

NAMES = (
    "plain",
    "a|b||c",
    "`code` ``x`` `",
    "line\nbreak\r\n| --- |\n\n# heading",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[a](javascript:alert(1)) ![i](http://x) <http://y> https://z www.z.de a@b.de",
    "\u202egnp.exe\x1b[31m \u200bzero",
    "**b** _i_ __u__ ~~s~~ ~s~ $x$ \\| \\` &lt; &#124; :tada: @user #1",
    "- item",
    "1. item",
    "| :--- |",
    "=1+1",
    "🦆" * 500 + "|",
    "x" * 100_000,
)
RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
KNOWN = {"html_inline", "html_block", "code_inline", "code_block", "fence", "link_open", "image", "s_open", "em_open"}


def hostile_report() -> Report:
    """Every name is a category, a pair, an aspect, a rater, a rule, a method, a kind, a message, a note, a setting."""
    rows: list[Row] = []
    human: list[HumanScore] = []
    for place, name in enumerate(NAMES):
        for number in range(3):
            pair = f"{name}{number}"
            rows += [planned(pair, name), edited(pair, name)]
            rows.append(scored(pair, float(place + number), name, aspects={name: 5.0}, method=name))
            human += [
                HumanScore(place + 2, name, pair, None, rater, float((place * 7 + number) % 11)) for rater in NAMES
            ]
        rows.append(failed("x", name, kind=name, message=name))
        human.append(HumanScore(9, name, f"not {name}", None, None, 1.0))
    manifest = {"notes": list(NAMES), "combine": {name: name for name in NAMES}, "x": {name: name for name in NAMES}}
    return build_report(rows, manifest=manifest, expected=Expected(), human=HumanScores(tuple(human), 0, b""))


def tables(tokens: list[Token]) -> Iterator[list[list[str]]]:
    """The texts of the cells of each row of each table."""
    rows: list[list[str]] = []
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(text_of(tokens[place + 1]))
        elif token.type == "table_close":
            yield rows


def text_of(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def shown(name: str, limit: int) -> str:
    return one_line(name, limit).strip()


@pytest.fixture(scope="module")
def tokens() -> list[Token]:
    return RENDERER.parse(render_markdown(hostile_report(), DEFAULT_METRICS))


def test_the_data_forms_no_html_no_code_no_link_and_no_emphasis(tokens: list[Token]) -> None:
    types = [token.type for token in tokens] + [child.type for token in tokens for child in token.children or ()]
    assert not KNOWN & set(types)
    headings = [text_of(tokens[place + 1]) for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings == [
        "Image Edit Benchmark Evaluation Report",
        "Overall Statistics",
        "Category Statistics",
        *(shown(name, 100) for name in NAMES),
        "Agreement with Human Scores",
        "Failures",
        "How Scores Were Made",
        "Performance",
        "Provenance",
    ]


def test_every_table_has_all_of_its_rows_and_every_cell_reads_as_its_text(tokens: list[Token]) -> None:
    names = [shown(name, 100) for name in NAMES]
    categories, *aspects, agreement, disagreements, failures, performance = tables(tokens)
    assert [row[0] for row in categories[1:]] == [*names, "Overall"]
    assert len(aspects) == len(NAMES)
    assert [table[1][0] for table in aspects] == names
    assert [row[0] for row in agreement[1:]] == [*names, "Overall"]
    assert len(disagreements) == 11
    assert {row[0] for row in disagreements[1:]} <= set(names)
    assert {row[1] for row in disagreements[1:]} <= {shown(f"{name}{n}", 200) for name in NAMES for n in range(3)}
    assert [row[0] for row in failures[1:]] == names
    assert [row[4] for row in failures[1:]] == [shown(name, 300) for name in NAMES]
    assert len(performance) == 3
    for table in (categories, *aspects, agreement, disagreements, failures, performance):
        assert {len(row) for row in table} == {len(table[0])}


def test_no_line_is_longer_than_what_people_paste_and_renderers_take() -> None:
    lines = render_markdown(hostile_report(), DEFAULT_METRICS).splitlines()
    assert max(map(len, lines)) < 10_000
    assert all(line.isprintable() for line in lines)
