"""The official block: the benchmark's own numbers, and every reason why they cannot be compared with published ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scheduler.protocols.declaration import JudgedItem, Numbers
from scheduler.report.model import AnsweredBy, Official
from scheduler.store.rows import EditedRow, PlannedRow, Row
from tests.example_protocol import ExampleProtocol
from tests.scheduler.report import official_rows
from tests.scheduler.report.official_rows import answered, complete_rows, facts, judged, manifest
from tests.scheduler.report.test_schema import problems
from tests.scheduler.rows import edited, failed, json_of, planned, report_of

pytestmark = pytest.mark.usefixtures("example")
example = official_rows.example


def official_of(rows: list[Row], *, samples: int = 1, passes: int = 1, **changes: Any) -> Official:
    report = report_of(rows, manifest=manifest(**changes), samples_per_pair=samples, reward_passes=passes)
    assert problems(json_of(report)) == []
    assert report.official is not None
    return report.official


def test_a_complete_run_with_the_prescribed_judge_has_comparable_numbers() -> None:
    official = official_of(complete_rows())
    assert list(official.numbers.items()) == [
        ("Average", (5.0 + 8.5) / 2), ("add/Score", 5.0), ("remove/Score", 8.5), ("Flaws", 1.0)
    ]  # fmt: skip
    assert official.main == "Average"
    low, high = official.intervals["Average"]
    assert low < 6.75 < high
    assert (official.comparable, official.complete, official.deviations) == (True, True, ())
    assert (official.num_items, official.num_scored, official.num_full, official.without_score) == (4, 4, 4, {})
    assert official.judge.answered == (AnsweredBy(model="gpt-4.1", system_fingerprint="fp_1", num_answers=8),)
    assert official.files == {"prompts.py": "c" * 64}
    assert official.dimensions["flaws"].better == "lower"


def test_a_run_without_a_protocol_has_no_official_block() -> None:
    assert report_of(complete_rows()).official is None
    assert report_of(complete_rows(), manifest={"official": {"protocol": 7}}).official is None


def test_a_missing_score_makes_every_number_that_needs_it_null_and_is_counted_by_its_reason() -> None:
    rows = [*complete_rows(), planned("3", "add"), edited("3", "add"), answered("3", "add", "look", {"flaws": 2})]
    rows += [failed("3", "add", stage="score", kind="filtered", pass_=0), planned("4", "remove")]
    official = official_of(rows, full_items=6)
    assert set(official.numbers.values()) == {None}
    assert official.intervals == {}
    assert (official.complete, official.comparable) == (False, False)
    assert official.without_score == {"filtered": 1, "missing": 1}
    assert official.deviations == ("2 of 6 items have no score (filtered: 1, missing: 1).",)


def test_numbers_without_the_missing_score_are_there() -> None:
    rows = [*complete_rows(), planned("3", "add"), edited("3", "add"), answered("3", "add", "look", {"flaws": 2})]
    official = official_of([*rows, failed("3", "add", stage="score", kind="unreadable_reply", pass_=0)])
    assert official.numbers == {"Average": None, "add/Score": None, "remove/Score": 8.5, "Flaws": 6 / 5}
    assert set(official.intervals) == {"remove/Score", "Flaws"}


def test_a_number_of_several_judgements_is_the_mean_of_the_numbers_of_each() -> None:
    rows: list[Row] = [planned("1", "add"), edited("1", "add"), edited("1", "add", sample=1)]
    for sample, pass_, follows in ((0, 0, 2), (0, 1, 4), (1, 0, 6), (1, 1, 8)):
        rows += judged("1", "add", follows, 9, 1, sample=sample, pass_=pass_)
    official = official_of(rows, samples=2, passes=2, full_items=1)
    assert official.numbers["Average"] == 5.0
    assert official.deviations == (
        "Numbers are means over 2 edits of each item; the authors make one.",
        "Numbers are means over 2 judgements of each edit; the authors ask once.",
    )
    del rows[-1]  # the last score
    assert official_of(rows, samples=2, passes=2, full_items=1).numbers == {
        "Average": None, "add/Score": None, "Flaws": 1.0
    }  # fmt: skip


def changed_judge(**changes: Any) -> dict[str, Any]:
    judge = facts().judge
    return {"judge": type(judge)(**{name: getattr(judge, name) for name in judge.__struct_fields__} | changes)}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (changed_judge(model="gpt-4o"), "The judge is gpt-4o; the authors prescribe gpt-4.1."),
        (
            changed_judge(parameters={"temperature": 0.5, "max_new_tokens": None}),
            "The judge's temperature is 0.5; the authors set it to 0.0.",
        ),
        (
            changed_judge(parameters={"temperature": 0.0, "max_new_tokens": 9}),
            "The judge's max_new_tokens is 9; the authors leave it out.",
        ),
        (changed_judge(parameters={}), "A judge of type openai has no temperature; the authors set it to 0.0."),
        (
            changed_judge(parameters={"temperature": 0, "scoring": "logits"}),
            "Scores were made of the judge's probabilities (scoring: logits); the authors read its reply.",
        ),
        (
            changed_judge(parameters={"temperature": 0, "reply_format": "json_object"}),
            "The judge was asked for a reply of the form json_object (reply_format); the authors ask for none.",
        ),
        (
            changed_judge(parameters={"temperature": 0, "reply_format": "text", "parameters": {"top_p": 0.1}}),
            "The judge was asked with top_p 0.1; the authors leave it out.",
        ),
        (
            {"tried_commit": None},
            "The official files (commit 2b06cc1) are not those of a version that this protocol was tried with.",
        ),
        ({"full_items": 1212}, "The run has 4 items of 1212."),
        (
            {"full_items": 1212, "limit": 2, "subset": "full", "categories": ("add", "remove")},
            "The run has 4 items of 1212 (limit: 2, categories: add, remove, subset: full).",
        ),
        (
            {"full_items": None},
            "The protocol does not say how many items the full benchmark has in this format and language.",
        ),
    ],
)
def test_whatever_is_not_as_the_authors_do_it_is_named(changes: dict[str, Any], sentence: str) -> None:
    official = official_of(complete_rows(), **changes)
    assert official.deviations == (sentence,)
    assert not official.comparable
    assert official.numbers["Average"] == 6.75


def test_an_editor_that_got_one_of_several_source_images_is_named() -> None:
    rows = complete_rows()
    images = {"source_2": "a" * 64}
    for number in (0, 5):
        row = rows[number]
        assert isinstance(row, PlannedRow)
        rows[number] = msgspec.structs.replace(row, images=images)
    sentence = "The editor got only the first source image of 2 items that have several (images: first)."
    assert official_of(rows, all_sources=False).deviations == (sentence,)
    assert official_of(rows).deviations == ()
    elsewhere = [msgspec.structs.replace(row, worker=None) if isinstance(row, EditedRow) else row for row in rows]
    assert official_of(elsewhere, all_sources=False).deviations == ()


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["gpt-4.1-2025-04-14"], None),
        (["gpt-4.1-mini"], "The judge that was asked is gpt-4.1, but gpt-4.1-mini answered."),
        (
            ["gpt-4.1-2025-04-14", "gpt-4.1-2026-01-01"],
            "The judge changed during the run: gpt-4.1-2025-04-14, gpt-4.1-2026-01-01 answered.",
        ),
        ([None], None),
    ],
)
def test_the_model_that_answered_counts_too(models: list[str | None], sentence: str | None) -> None:
    rows = complete_rows()
    for number, row in enumerate(rows):
        usage = getattr(row, "usage", None)
        if usage is not None:
            answers = type(usage)(requests=1, model=models[number % len(models)])
            rows[number] = type(row)(
                **{name: getattr(row, name) for name in row.__struct_fields__} | {"usage": answers}
            )
    assert official_of(rows).deviations == ((sentence,) if sentence else ())


def test_what_the_protocol_says_about_a_fault_of_the_script_leaves_the_numbers_comparable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = ExampleProtocol.numbers

    def numbers(self: ExampleProtocol, items: list[JudgedItem]) -> Numbers:
        of_items = plain(self, items)
        return Numbers(of_items.values, of_items.main, ("The script rounds.",))

    monkeypatch.setattr(ExampleProtocol, "numbers", numbers)
    official = official_of(complete_rows())
    assert (official.deviations, official.comparable) == (("The script rounds.",), True)


def test_a_protocol_that_is_not_installed_leaves_a_report_without_numbers() -> None:
    official = official_of(complete_rows(), protocol="gone")
    assert official.numbers == {}
    assert official.deviations == ("The numbers cannot be calculated: there is no protocol gone here.",)
    assert not official.comparable


def test_numbers_that_cannot_be_calculated_do_not_keep_the_report_from_being_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def numbers(*_: object) -> Numbers:
        raise KeyError("nothing")

    monkeypatch.setattr(ExampleProtocol, "numbers", numbers)
    official = official_of(complete_rows())
    assert official.deviations == ("The numbers cannot be calculated: KeyError: 'nothing'.",)
    assert "cannot be calculated" in caplog.text


def test_an_item_that_could_not_be_loaded_counts_as_one_without_a_score() -> None:
    rows = [*complete_rows(), planned("3", "add", loaded=False)]
    official = official_of([*rows, failed("3", "add", stage="load", kind="bad_image", sample=None)], full_items=5)
    assert official.without_score == {"bad_image": 1}
    assert official.numbers["add/Score"] is None
    assert official.numbers["remove/Score"] == 8.5
