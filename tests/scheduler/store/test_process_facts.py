"""What a manifest says of the checkout that wrote it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scheduler.store.process_facts import checkout_commit


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.com"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_commit_has_a_plus_where_files_differ_from_it(tmp_path: Path) -> None:
    assert checkout_commit(tmp_path) is None
    _git(tmp_path, "init", "-q")
    assert checkout_commit(tmp_path) is None  # no commit yet
    code = tmp_path / "code.py"
    code.write_text("1")
    _git(tmp_path, "add", "code.py")
    _git(tmp_path, "commit", "-q", "-m", "first")
    _git(tmp_path, "tag", "-a", "v1", "-m", "a tag is no commit")
    commit = _git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "output.txt").write_text("not part of the checkout")
    assert checkout_commit(tmp_path) == commit
    code.write_text("2")
    assert checkout_commit(tmp_path) == f"{commit}+"
