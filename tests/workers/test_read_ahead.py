"""Files of the next checkpoint are read ahead: whole ones are hashed, and nothing about them is an error."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from pathlib import Path

from protocol.pool import locked
from workers.file_hashes import file_stamps
from workers.read_ahead import fits


def start(folder: Path, cache: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "workers.read_ahead", str(folder), str(cache)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)


def assert_read(process: subprocess.Popen[bytes]) -> None:
    assert process.wait() == 0
    assert process.communicate()[1] == b""


def test_the_hashes_of_all_files_that_decide_results_are_known_afterwards(tmp_path: Path) -> None:
    folder, cache = tmp_path / "checkpoint-7", tmp_path / ".fingerprints.json"
    (folder / "unet").mkdir(parents=True)
    contents = {"model_index.json": b"{}", "unet/a.safetensors": b"weights", "notes.log": b"no part of it"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert_read(start(folder, cache))
    stamps = file_stamps([str(folder / name) for name in list(contents)[:2]])
    expected = {stamps[name]: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in stamps}
    assert json.loads(cache.read_bytes()) == expected


def test_it_ends_with_what_has_started_it(tmp_path: Path) -> None:
    folder, cache = tmp_path / "checkpoint-8", tmp_path / "cache"
    folder.mkdir()
    (folder / "a.json").write_bytes(b"1")
    with contextlib.ExitStack() as stack:
        for number in range(64):  # another process hashes the file, and takes long
            stack.enter_context(locked(tmp_path / f"cache.{number}.lock"))
        process = start(folder, cache)
        process.communicate()  # closes its standard input
    assert process.returncode == 0
    assert not cache.exists()


def test_a_checkpoint_that_vanishes_is_no_error(tmp_path: Path) -> None:
    assert_read(start(tmp_path / "nowhere", tmp_path / "cache"))


def test_what_would_not_stay_in_memory_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(bytes(100))
    assert fits([str(tmp_path / "a.json")], 200)
    assert not fits([str(tmp_path / "a.json")], 199)
