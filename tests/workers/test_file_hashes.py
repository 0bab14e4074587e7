"""Hashes of weight files: in parallel, once per machine, and by their names in the hub's cache."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from protocol.pool import locked
from workers import file_hashes
from workers.file_hashes import file_stamps, hash_files, name_in_hub_cache


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache.json"


def written(folder: Path, **contents: bytes) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in contents]


def test_every_file_has_the_hash_of_its_content(tmp_path: Path, cache: Path) -> None:
    contents = {f"part{number}": bytes([number]) * (number << 20) for number in range(7)}
    files = written(tmp_path / "model", **contents)
    expected = dict(zip(files, map(sha256, contents.values()), strict=True))
    assert hash_files(files, cache) == expected
    assert hash_files(files, cache) == expected, "from the cache"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hash_files([str(tmp_path / "nothing")], cache)


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    files = written(tmp_path / "model", config=b"{}")
    before = file_stamps(files)
    (tmp_path / "model" / "config").write_text("{ }")
    assert file_stamps(files) != before


def test_a_file_behind_different_links_is_hashed_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = written(tmp_path / "model", weights=b"weights")
    links = [tmp_path / f"{name}-link" for name in ("first", "second")]
    for link in links:
        link.symlink_to(file)
    assert list(hash_files([str(links[0])], cache).values()) == [sha256(b"weights")]
    monkeypatch.setattr(file_hashes, "_hash_in_parallel", None)
    for other in (str(links[1]), file):
        assert hash_files([other], cache) == {other: sha256(b"weights")}


def test_a_file_that_another_worker_hashes_just_now_is_waited_for_and_not_read_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting counts as progress: the other worker has a time limit of its own."""
    monkeypatch.setattr(file_hashes, "_LOCKS", 1)
    files = written(tmp_path / "model", weights=b"weights")
    waiting = threading.Event()
    hashes: dict[str, str] = {}
    with locked(cache.with_name(f"{cache.name}.0.lock")):
        thread = threading.Thread(target=lambda: hashes.update(hash_files(files, cache, waiting.set)))
        thread.start()
        assert waiting.wait(20)
        stamp = file_stamps(files)[files[0]]
        cache.write_text(f'{{"{stamp}": "{sha256(b"as the other worker says")}"}}')
    thread.join()
    assert hashes == {files[0]: sha256(b"as the other worker says")}


# -- the hub's cache


def snapshot_file(folder: Path, content: bytes, *, blob: str, name: str = "model.safetensors") -> Path:
    """A file of a model in the hub's cache: a link to a blob."""
    (folder / "blobs").mkdir(parents=True)
    (folder / "snapshots" / "revision").mkdir(parents=True)
    (folder / "blobs" / blob).write_bytes(content)
    link = folder / "snapshots" / "revision" / name
    link.symlink_to(os.path.relpath(folder / "blobs" / blob, link.parent))
    return link


def safetensors(numbers: bytes) -> bytes:
    header = b'{"weight":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (len(numbers), len(numbers))
    return len(header).to_bytes(8, "little") + header + numbers


NAMED = "ab" * 32


def test_a_large_file_of_the_hubs_cache_is_known_by_its_name(tmp_path: Path, cache: Path) -> None:
    path = snapshot_file(tmp_path / "models--a--b", safetensors(b"12345678"), blob=NAMED)
    assert name_in_hub_cache(path) == NAMED
    assert hash_files([str(path)], cache) == {str(path): NAMED}
    assert not cache.exists(), "nothing was read"


@pytest.mark.parametrize(
    ("content", "blob", "name"),
    [
        (safetensors(b"12345678")[:-1], NAMED, "model.safetensors"),
        (safetensors(b"12345678") + b"!", NAMED, "model.safetensors"),
        (b"not safetensors", NAMED, "model.safetensors"),
        (safetensors(b"12345678"), "c0ffee" * 6 + "abcd", "model.safetensors"),
        (b"{}", NAMED, "tokenizer.json"),
    ],
)
def test_any_other_file_is_read(tmp_path: Path, cache: Path, content: bytes, blob: str, name: str) -> None:
    """Cut off, too long, damaged, named by git's hash, or of a size that nothing says."""
    path = snapshot_file(tmp_path / "models--a--b", content, blob=blob, name=name)
    assert name_in_hub_cache(path) is None
    assert hash_files([str(path)], cache) == {str(path): sha256(content)}


def test_a_copy_of_a_blob_elsewhere_is_read(tmp_path: Path) -> None:
    path = tmp_path / f"{NAMED}.safetensors"
    path.write_bytes(safetensors(b"12345678"))
    assert name_in_hub_cache(path) is None
