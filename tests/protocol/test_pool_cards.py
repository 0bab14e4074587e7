"""Cards are complete or absent, and only those of running processes count."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.pool import POOL_CARD, ModelCard, PoolCard, WorkerCard, read_pool_card, read_worker_cards, write_card
from protocol.processes import create_time

_CREATED = create_time(os.getpid())
POOL = PoolCard(
    endpoint="ipc:///tmp/pool.sock",
    pid=os.getpid(),
    pid_create_time=_CREATED,
    protocol_version=1,
    version="0.1.0",
    started=_CREATED + 1,
)
WORKER = WorkerCard(
    worker_id="editor-0",
    role="editor",
    incarnation="abc",
    endpoint="ipc:///tmp/editor-0.sock",
    pid=os.getpid(),
    pid_create_time=_CREATED,
    device="cpu",
    model=ModelCard(type="simulated", name=None, fingerprint="0" * 64),
    protocol_version=1,
    version="0.1.0",
    started=_CREATED + 1,
)


def _put(folder: Path, content: bytes | dict[str, Any], name: str = POOL_CARD) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def test_cards_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_card(tmp_path / POOL_CARD, POOL)
    write_card(tmp_path / "editor-0.json", WORKER)
    assert read_pool_card(tmp_path) == POOL
    assert read_worker_cards(tmp_path) == [WORKER]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["editor-0.json", POOL_CARD]


def test_an_empty_or_missing_folder_has_no_cards(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert read_pool_card(folder) is None
        assert read_worker_cards(folder) == []


def test_worker_cards_are_sorted_by_id_and_exclude_the_launchers(tmp_path: Path) -> None:
    write_card(tmp_path / POOL_CARD, POOL)
    names = ["reward-0", "editor-1", "editor-0"]
    for name in names:
        write_card(tmp_path / f"{name}.json", msgspec.structs.replace(WORKER, worker_id=name))
    assert [card.worker_id for card in read_worker_cards(tmp_path)] == sorted(names)


def test_a_reader_never_sees_half_a_card(tmp_path: Path) -> None:
    path = tmp_path / POOL_CARD
    cards = [msgspec.structs.replace(POOL, endpoint=mark * size) for mark, size in (("a", 10), ("b", 200_000))]
    write_card(path, cards[0])
    over, strange, seen = threading.Event(), [], set()

    def read() -> None:
        while not over.is_set():
            card = read_pool_card(tmp_path)
            if card in cards:
                seen.add(card.endpoint)
            else:
                strange.append(card)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        write_card(path, cards[number % 2])
    over.set()
    reader.join()
    assert strange == []
    assert seen


def test_the_card_of_a_dead_process_counts_as_none(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        life = {"pid": child.pid, "pid_create_time": create_time(child.pid)}
        write_card(tmp_path / POOL_CARD, msgspec.structs.replace(POOL, **life))
        write_card(tmp_path / "editor-0.json", msgspec.structs.replace(WORKER, **life))
        write_card(tmp_path / "editor-1.json", WORKER)
        assert read_pool_card(tmp_path) is not None
        assert len(read_worker_cards(tmp_path)) == 2
        child.kill()
        child.wait()
        assert read_pool_card(tmp_path) is None
        assert read_worker_cards(tmp_path) == [WORKER]


@pytest.mark.parametrize("shift", [-3600.0, -5.0, 5.0])
def test_a_reused_pid_counts_as_dead(tmp_path: Path, shift: float) -> None:
    write_card(tmp_path / POOL_CARD, msgspec.structs.replace(POOL, pid_create_time=_CREATED + shift))
    assert read_pool_card(tmp_path) is None


GOOD = msgspec.to_builtins(POOL)
GARBAGE: dict[str, bytes | dict[str, Any]] = {
    "empty": b"",
    "half": json.dumps(GOOD).encode()[:-20],
    "null": b"null",
    "list": b"[]",
    "bad text": b'{"endpoint": "\xff"}',
    "surrogate": b'{"endpoint": "\\ud800"}',
    "deep in an unknown field": b'{"x": ' + b"[" * 100_000,
    "zeros": bytes(5000),
    "two megabytes": b" " * (2 << 20) + json.dumps(GOOD).encode(),
    "field missing": {key: GOOD[key] for key in GOOD if key != "endpoint"},
    "wrong type": GOOD | {"pid": "1"},
    "pid below zero": GOOD | {"pid": -5},
    "pid zero": GOOD | {"pid": 0},
    "pid huge": GOOD | {"pid": 2**70},
    "time huge": GOOD | {"pid_create_time": 1e308},
    "time a NaN": GOOD | {"pid_create_time": float("nan")},
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_an_invalid_card_counts_as_none(tmp_path: Path, content: bytes | dict[str, Any]) -> None:
    _put(tmp_path, content)
    _put(tmp_path, content, "editor-0.json")
    write_card(tmp_path / "editor-1.json", WORKER)
    assert read_pool_card(tmp_path) is None
    assert read_worker_cards(tmp_path) == [WORKER]


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself", "link to nothing"])
def test_a_card_that_is_not_a_file_counts_as_none_and_does_not_block(tmp_path: Path, kind: str) -> None:
    for name in (POOL_CARD, "editor-0.json"):
        path = tmp_path / name
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path if kind == "link to itself" else tmp_path / "nothing")
    assert read_pool_card(tmp_path) is None
    assert read_worker_cards(tmp_path) == []


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_card_counts_as_none_or_is_valid(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(json.dumps(GOOD).encode())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _put(tmp_path, bytes(content))
    assert isinstance(read_pool_card(tmp_path), PoolCard | None)


def test_a_card_of_a_later_version_with_more_fields_is_still_read(tmp_path: Path) -> None:
    _put(tmp_path, GOOD | {"something_new": [1, {"x": 2}]})
    assert read_pool_card(tmp_path) == POOL


def test_writing_replaces_a_link_and_not_its_target(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / POOL_CARD).symlink_to(target)
    write_card(tmp_path / POOL_CARD, POOL)
    assert target.read_text() == "precious"
    assert stat.S_ISREG((tmp_path / POOL_CARD).lstat().st_mode)
