"""``pairs.csv``: a row for every pair and sample, that reads back as it was, and in which no text becomes a formula."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.report.model import Report
from scheduler.report.pairs_csv import MAX_TEXT, pairs_csv
from scheduler.store.rows import Row
from tests.scheduler.rows import edited, failed, planned, report_of, scored, sha

FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "'=1")


def read(report: Report) -> list[dict[str, str]]:
    content = pairs_csv(report)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def with_texts(text: str, *, response: str | None = None) -> Report:
    row: Row = msgspec.structs.replace(planned("1"), instruction=text, description=text)
    return report_of([row, edited("1"), scored("1", 5.0, response=text if response is None else response)])


def test_a_scored_pair_has_its_score_its_edit_and_its_texts() -> None:
    rows: list[Row] = [
        planned("1"),
        edited("1"),
        scored("1", 7.25, aspects={"look": 7.0, "sense": 7.5}, response="很好"),
    ]
    (row,) = read(report_of(rows))

    assert row == {
        "category": "物理",
        "pair_id": "1",
        "sample": "0",
        "status": "scored",
        "score": "7.25",
        "aspect:look": "7.0",
        "aspect:sense": "7.5",
        "seed": "0",
        "image": "images/1.png",
        "sha256": sha("1 0 A"),
        "width": "64",
        "height": "48",
        "edit_seconds": "1.5",
        "worker": "editor-0",
        "device": "cuda:0",
        "method": "json",
        "failure_stage": "",
        "failure_kind": "",
        "failure_message": "",
        "instruction": "edit 1",
        "description": "",
        "response": "很好",
    }


def test_it_begins_with_a_byte_order_mark_and_its_rows_end_as_the_standard_says() -> None:
    content = pairs_csv(report_of([planned("1"), edited("1"), scored("1", 5.0)]))
    assert content.startswith(b"\xef\xbb\xbfcategory,pair_id,")
    assert content.count(b"\r\n") == 2
    assert content.endswith(b"\r\n")


def test_every_pair_has_a_row_for_each_sample_whatever_its_status() -> None:
    rows: list[Row] = [
        *(planned(name) for name in ("whole", "half", "unscored", "waiting")),
        planned("bad", loaded=False),
        failed("bad", stage="load", kind="bad_image", message="no image", sample=None),
        *(row for sample in (0, 1) for row in (edited("whole", sample=sample), scored("whole", 4.0, sample=sample))),
        edited("half"),
        scored("half", 9.0),
        failed("half", sample=1),
        edited("unscored"),
        failed("unscored", stage="score", kind="unreadable_reply", message="?", pass_=0),
    ]
    report = report_of(rows, samples_per_pair=2)
    by_key = {(row["pair_id"], row["sample"]): row for row in read(report)}

    assert len(by_key) == 10
    assert {key: row["status"] for key, row in by_key.items()} == {
        ("whole", "0"): "scored",
        ("whole", "1"): "scored",
        ("half", "0"): "scored",
        ("half", "1"): "failed",
        ("unscored", "0"): "failed",
        ("unscored", "1"): "missing",
        ("waiting", "0"): "missing",
        ("waiting", "1"): "missing",
        ("bad", "0"): "failed",
        ("bad", "1"): "failed",
    }
    assert by_key["half", "0"]["score"] == "9.0"
    assert by_key["half", "1"]["score"] == ""
    assert by_key["half", "1"]["failure_kind"] == "oom"
    assert by_key["bad", "1"]["failure_stage"] == "load"
    assert by_key["unscored", "0"]["sha256"] != ""
    assert by_key["waiting", "0"]["failure_kind"] == ""


def test_with_one_sample_the_status_is_that_of_the_pair() -> None:
    rows: list[Row] = [*(planned(name) for name in "abc"), edited("a"), scored("a", 1.0), edited("b"), failed("c")]
    for stages in (("edit", "score"), ("edit",)):
        report = report_of(rows, stages=stages)
        assert [row["status"] for row in read(report)] == [pair.status for pair in report.pairs]


def test_several_passes_give_their_mean_and_all_that_was_said() -> None:
    rows: list[Row] = [planned("1"), edited("1")]
    rows += [
        scored("1", score, pass_=number, aspects=aspects, response=f"reply {number}", method=method)
        for number, (score, aspects, method) in enumerate(
            [(4.0, {"look": 4.0}, "json"), (5.0, {"look": 6.0, "sense": 1.0}, "marked")]
        )
    ]
    (row,) = read(report_of(rows, reward_passes=2))
    assert (row["score"], row["aspect:look"], row["aspect:sense"]) == ("4.5", "5.0", "")
    assert row["method"] == "json, marked"
    assert row["response"] == "reply 0\n\nreply 1"
    (half,) = read(report_of(rows[:-1], reward_passes=2))
    assert (half["status"], half["score"], half["aspect:look"]) == ("missing", "", "")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_becomes_a_formula(text: str) -> None:
    report = report_of(
        [
            msgspec.structs.replace(planned(text, text), instruction=text, description=text),
            edited(text, text),
            scored(text, -3.5, text, aspects={text: -1.0}, response=text),
            planned("2"),
            failed("2", kind=text, message=text),
        ]
    )
    content = pairs_csv(report).decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]

    numbers = {"-3.5", "-1.0"}
    assert not [cell for cell in cells if cell not in numbers and cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    assert numbers <= set(cells), "numbers stay numbers"
    row, failure = read(report)
    for name in ("category", "pair_id", "instruction", "description", "response"):
        assert row[name].removeprefix("'") == text
    assert failure["failure_kind"].removeprefix("'") == failure["failure_message"].removeprefix("'") == text


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], include_characters="\n\r\t\",';=+-@|"), min_size=1))
def test_any_text_that_prints_reads_back_as_it_was(text: str) -> None:
    (row,) = read(with_texts(text))
    for name in ("instruction", "description", "response"):
        assert row[name].removeprefix("'") == text


@given(st.text(st.characters(codec=None), min_size=1))
def test_any_text_at_all_is_one_cell_of_a_file_that_can_be_read(text: str) -> None:
    (row,) = read(with_texts(text))
    assert not any(ord(character) < 32 and character not in "\n\r\t" for character in row["instruction"])
    assert len(row) == 20


def test_a_text_is_not_longer_than_a_cell_can_be() -> None:
    (row,) = read(with_texts("\x00" * 50_000, response="字" * 50_000))
    assert len(row["response"]) == len(row["instruction"]) == MAX_TEXT
    assert row["response"].endswith("字…")
