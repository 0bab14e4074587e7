"""The proof compares requests as bytes, and stops where the authors' scripts are not the ones that it patches."""

from __future__ import annotations

import base64
import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.protocols.declaration import PROTOCOLS, Table, UnreadableReply
from scripts.official_proof.__main__ import PROOFS, proof_named
from scripts.official_proof.declaration import Patch, Place, Proof, copy_scripts
from scripts.official_proof.pictures import picture, png
from scripts.official_proof.requests import Chance, canonical, differing
from tests.openai_request import Request

DATA = png(picture("a"))


def request(text: str = "Rate it.", data: bytes = DATA, media_type: str = "image/png", **more: Any) -> Request:
    url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "judge", "messages": [{"role": "user", "content": content}], **more}
    return Request(0, body, None, 0, b"")


def test_the_order_of_keys_a_default_and_the_form_of_a_number_make_no_difference() -> None:
    turned = Request(0, dict(reversed(request(stream=False, temperature=0.0).body.items())), "key", 3, b"x")
    assert differing([request(temperature=0)], [turned]) == ([], [])
    assert Chance(request(temperature=0)).of("score") == Chance(turned).of("score")


@pytest.mark.parametrize(
    "other",
    [
        request("Rate it. "),
        request(data=png(picture("b"))),
        request(media_type="image/jpeg"),
        request(temperature=0),
        request(temperature=0.1),
        request(stream=True),
    ],
)
def test_any_other_difference_counts(other: Request) -> None:
    only = differing([request()], [other])
    assert only == ([canonical(request())], [canonical(other)])
    assert Chance(request()).of("score") != Chance(other).of("score")


def test_a_request_that_one_side_makes_twice_differs() -> None:
    assert differing([request()], [request(), request()]) == ([], [canonical(request())])


def test_a_picture_is_the_same_each_time() -> None:
    assert png(picture("a", "RGBA")) == png(picture("a", "RGBA")) != png(picture("b", "RGBA"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    official = tmp_path / "official"
    (official / "bench").mkdir(parents=True)
    (official / "bench/ask.py").write_text('URL = "https://example.org"\n')
    return Place(tmp_path / "work", official, Path("python"), "http://127.0.0.1:1/v1", 1)


def proof(*patches: Patch) -> Proof:
    def of(place: Place) -> Sequence[Patch]:
        return patches

    return replace(proof_named("gedit"), copied=("bench",), patches=of)


def test_a_patch_changes_the_copy_alone(place: Place) -> None:
    copy_scripts(place, proof(Patch("bench/ask.py", "https://example.org", place.base_url, "address")))
    assert (place.scripts / "bench/ask.py").read_text() == 'URL = "http://127.0.0.1:1/v1"\n'
    assert "example.org" in (place.official / "bench/ask.py").read_text()


def test_a_script_that_has_changed_is_reported(place: Place) -> None:
    with pytest.raises(RuntimeError, match=r"bench/ask.py has 0 times 'http://'.* needed for address"):
        copy_scripts(place, proof(Patch("bench/ask.py", "http://", "x", "address")))


def test_every_protocol_has_a_proof() -> None:
    assert {proof_named(name).protocol for name in PROOFS} == set(PROTOCOLS.names())


@pytest.mark.parametrize("name", PROOFS)
def test_replies_are_drawn_in_every_form_and_many_are_readable(name: str) -> None:
    made = proof_named(name)
    rules = PROTOCOLS.get(made.protocol).make(Table({}, 1), None)
    for kind in made.replies:
        chance = random.Random(1)  # noqa: S311 - not a secret
        read = 0
        for _ in range(400):
            with contextlib.suppress(UnreadableReply):
                rules.read(kind.item, kind.question, kind.draw(chance))
                read += 1
        assert 20 < read < 400


@pytest.mark.parametrize("name", ["gedit", "imgedit", "imgedit_uge", "unicbench"])
def test_every_answer_of_the_judge_is_one_that_the_protocol_reads(name: str) -> None:
    made = proof_named(name)
    rules = PROTOCOLS.get(made.protocol).make(Table({}, 1), None)
    for number in range(200):
        reply = made.answer(request(f"Rate {number}."))
        assert rules.read(made.replies[0].item, made.replies[0].question, reply), reply
