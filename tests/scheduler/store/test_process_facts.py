"""What a manifest says of the checkout that wrote it."""

from __future__ import annotations

from pathlib import Path

from scheduler.store.process_facts import checkout_commit
from tests.git import git


def test_a_commit_has_a_plus_where_files_differ_from_it(tmp_path: Path) -> None:
    assert checkout_commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert checkout_commit(tmp_path) is None  # no commit yet
    code = tmp_path / "code.py"
    code.write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "a tag is no commit")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "output.txt").write_text("not part of the checkout")
    assert checkout_commit(tmp_path) == commit
    code.write_text("2")
    assert checkout_commit(tmp_path) == f"{commit}+"
