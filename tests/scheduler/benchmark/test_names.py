from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.benchmark.names import PairIds, name_problem


@pytest.mark.parametrize("name", ["1", "物理", "a b", "...", "#1", "a.b", "x" * 200, "👨\u200d👩\u200d👧", "-1", " "])
def test_usual_names_are_accepted(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        (".", "name of a folder"),
        ("..", "name of a folder"),
        ("a/b", "slash"),
        ("a\\b", "slash"),
        ("x" * 201, "201 characters; at most 200"),
        ("a\nb", "control character"),
        ("\0", "control character"),
        ("\x7f", "control character"),
        ("\x9b", "control character"),
        ("\ud800", "not valid UTF-8"),
    ],
)
def test_other_names_are_refused_with_the_reason(name: str, problem: str) -> None:
    assert problem in (name_problem(name) or "")


@given(st.text(st.characters(), max_size=250))
def test_an_accepted_name_is_one_safe_part_of_a_path(name: str) -> None:
    problem = name_problem(name)
    if problem is None:
        assert 1 <= len(name) <= 200
        assert not {"/", "\\"} & set(name)
        assert name not in {".", ".."}
        assert name.encode("utf-8")
        assert not any(unicodedata.category(character) == "Cc" for character in name)
    else:
        assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in problem)
        assert len(problem) < 200


def test_the_second_with_an_id_is_number_two() -> None:
    ids = PairIds()
    assert ids.claim("c", "a", 0) is None
    assert ids.claim("c", "a", 1) == 0
    assert ids.claim("d", "a", 2) is None
    assert [ids.stand_in("c", "a", twice=True) for _ in range(2)] == ["a#2", "a#3"]


def test_a_stand_in_never_takes_an_id_that_the_data_gives() -> None:
    ids = PairIds()
    for position, name in enumerate(["a", "a#2", "#4"]):
        ids.claim("c", name, position)
    assert ids.stand_in("c", "a", twice=True) == "a#3"
    assert ids.stand_in("c", "#4", twice=False) == "#4#2"
    assert ids.stand_in("c", "#5", twice=False) == "#5"


names = st.sampled_from(["a", "a#2", "a#3", "#1", "#1#2"])


@given(claims=st.lists(names), wishes=st.lists(st.tuples(names, st.booleans())))
def test_all_ids_of_a_category_differ(claims: list[str], wishes: list[tuple[str, bool]]) -> None:
    ids = PairIds()
    given_ids = [name for position, name in enumerate(claims) if ids.claim("c", name, position) is None]
    given_ids += [ids.stand_in("c", name, twice=twice) for name, twice in wishes]
    assert len(set(given_ids)) == len(given_ids)
