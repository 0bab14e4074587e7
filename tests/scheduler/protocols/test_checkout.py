"""The commit of a checkout is read from its files, as git would answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.protocols.checkout import commit_of
from tests.git import git

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init")
    (folder / "a.txt").write_text("a")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "a")
    return folder


def test_the_commit_of_a_branch_a_packed_branch_and_a_detached_head(repository: Path) -> None:
    expected = git(repository, "rev-parse", "HEAD")
    assert commit_of(repository) == expected
    git(repository, "pack-refs", "--all")
    assert commit_of(repository) == expected
    git(repository, "checkout", "--detach")
    assert commit_of(repository) == expected


def test_the_commit_of_a_worktree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-b", "feature/x", str(tmp_path / "other"))
    (tmp_path / "other/b.txt").write_text("b")
    git(tmp_path / "other", "add", ".")
    git(tmp_path / "other", "commit", "-m", "b")
    assert commit_of(tmp_path / "other") == git(tmp_path / "other", "rev-parse", "HEAD") != commit_of(repository)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"ref: refs/heads/missing\n",
        b"ref: refs/../../secret\n",
        b"ref: /etc/passwd\n",
        b"0123\n",
        b"\xff\xfe",
        b"ref: " + b"a" * 100_000,
    ],
)
def test_a_broken_or_hostile_checkout_has_no_commit(repository: Path, head: bytes) -> None:
    (repository / ".git/secret").write_text(COMMIT)
    (repository / ".git/HEAD").write_bytes(head)
    assert commit_of(repository) is None


def test_a_plain_folder_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert commit_of(tmp_path) is None
