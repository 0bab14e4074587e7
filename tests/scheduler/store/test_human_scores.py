"""Files of human scores: what spreadsheets and scripts write is read, and every error is reported with its line."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from scheduler.store.human_scores import (
    HUMAN_SCORES,
    HumanScore,
    HumanScoresError,
    read_human_scores,
    readable_human_scores,
    store_human_scores,
    stored_human_scores,
)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(folder: Path, content: str | bytes) -> list[tuple[str, str, int | None, str | None, float]]:
    rows = read_human_scores(written(folder, content)).rows
    return [(row.category, row.pair_id, row.sample, row.rater, row.score) for row in rows]


def problems_of(folder: Path, content: str | bytes) -> str:
    with pytest.raises(HumanScoresError) as caught:
        read_human_scores(written(folder, content))
    return str(caught.value).replace(f"{folder}/", "")


PLAIN = [("物理", "001", None, None, 7.5), ("b", "2", None, None, 3.0)]


@pytest.mark.parametrize(
    "content",
    [
        "category,pair_id,score\n物理,001,7.5\nb,2,3\n",
        "score,id\r\n7.5,物理/001\r\n3,b/2",
        "\ufeffCategory;PAIR_ID;Score\r\n物理;001;7,5\r\nb;2;3\r\n",
        'category\tid\tscore\tnote\n物理\t001\t"7,5"\t"a\nb"\n\n \t\t\t\nb\t2\t 3 \tx\n',
        codecs.BOM_UTF16_LE + "category\tpair_id\tscore\n物理\t001\t7.5\nb\t2\t3\n".encode("utf-16-le"),
    ],
    ids=["plain", "one id", "semicolons and decimal commas", "tabs, notes and empty lines", "UTF-16"],
)
def test_what_spreadsheets_and_scripts_write_is_read(tmp_path: Path, content: str | bytes) -> None:
    assert rows_of(tmp_path, content) == PLAIN


def test_samples_raters_and_rows_without_a_score_are_distinguished(tmp_path: Path) -> None:
    text = "rater,category,pair_id,sample,score\nAnn,a,1,0,5\nBob,a,1,,-1e1\n,a,1,1,\n"
    scores = read_human_scores(written(tmp_path, text))
    assert scores.rows == (HumanScore(2, "a", "1", 0, "Ann", 5.0), HumanScore(3, "a", "1", None, "Bob", -10.0))
    assert scores.num_blank == 1


def test_every_error_is_reported_with_its_line(tmp_path: Path) -> None:
    text = (
        'category,pair_id,sample,score,note\na,1,0,5,"two\nlines"\na,1,x,5,\na,1,0,good,\na,1,0,nan,\n'
        "a,,0,5,\na,1,0\na,1,0,1e999,\n"
    )
    assert problems_of(tmp_path, text).splitlines() == [
        "people.csv: line 4: sample is 'x', not an integer of 0 or more",
        "people.csv: line 5: score is 'good', not a number from -1e+06 to 1e+06",
        "people.csv: line 6: score is 'nan', not a number from -1e+06 to 1e+06",
        "people.csv: line 7: the name of the pair is empty",
        "people.csv: line 8: 3 cells for 5 columns",
        "people.csv: line 9: score is '1e999', not a number from -1e+06 to 1e+06",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "empty; its first line must name the columns"),
        ("category,pair_id\na,1\n", "line 1: there is no column score; the columns are 'category', 'pair_id'"),
        ("category,score\na,1\n", "line 1: there is a column category but no pair_id"),
        ("pair_id,score\na,1\n", "line 1: there is neither a column category with pair_id, nor an id"),
        ("id,score,Score\na/1,1,1\n", "line 1: there are several columns score"),
        ("id,score\na,1\n", "line 2: id is 'a', not category/pair_id"),
        ("id,score\na/1,\n", "it has no score"),
        ('id,score\na/1,1\na/2,"1" x\n', "line 3: "),
        ('id,score\na/1,"1', "line 2: unexpected end of data"),
        ("id,score\na/1,1\n物/2,1\n".encode("gb18030"), 'line 3: this is not utf-8; save it as UTF-8 (in Excel: "CSV'),
        ("id,score\n\x1b[31m\u202e,1\n", "line 2: id is '\\x1b[31m\\u202e', not category/pair_id"),
        ("id,score\na/1,1\0\n", "line 2: "),
        ("id,score\na/1," + "1" * 200_000 + "\n", "line 2: field larger than field limit"),
    ],
)
def test_the_error_says_why_a_file_cannot_be_used(tmp_path: Path, content: str | bytes, problem: str) -> None:
    assert problems_of(tmp_path, content).startswith(f"people.csv: {problem}")


def test_an_endless_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(HumanScoresError, match="larger than 64 MiB"):
        read_human_scores(Path("/dev/zero"))


def test_the_stored_copy_is_the_file_itself_and_no_run_fails_because_of_it(tmp_path: Path) -> None:
    assert stored_human_scores(tmp_path) is None
    scores = read_human_scores(written(tmp_path, "\ufeffid;score\na/1;2,5\n"))
    store_human_scores(scores, tmp_path)
    assert (tmp_path / HUMAN_SCORES).read_bytes() == (tmp_path / "people.csv").read_bytes()
    assert stored_human_scores(tmp_path) == readable_human_scores(tmp_path) == scores
    (tmp_path / HUMAN_SCORES).write_text("spoilt")
    assert readable_human_scores(tmp_path) is None
    with pytest.raises(HumanScoresError, match=HUMAN_SCORES):
        stored_human_scores(tmp_path)
