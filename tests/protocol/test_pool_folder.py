"""The pool's folder belongs to the user, is closed to others, and no name leads out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.pool import PoolError, check_name, check_pool_folder, clear_dead_pool, home, pool_folder, private_folder


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``WARMBENCH_HOME``, not made yet."""
    folder = tmp_path / "pools"
    monkeypatch.setenv("WARMBENCH_HOME", str(folder))
    return folder


@pytest.fixture(params=["the home", "the pool"])
def folder(request: pytest.FixtureRequest, pools: Path) -> Path:
    """The folder to break: that of all pools, or the pool's."""
    if request.param == "the home":
        return pools
    pools.mkdir(mode=0o700)
    return pools / "demo"


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask that a user may have."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_home_and_pool_folder_are_closed_to_others(pools: Path) -> None:
    folder = pool_folder("demo")
    assert folder == pools / "demo"
    assert (_mode(pools), _mode(folder)) == (0o700, 0o700)
    assert pool_folder("demo") == folder


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o704, 0o740, 0o755, 0o777, 0o702])
def test_a_folder_that_is_open_to_others_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PoolError, match=rf"{folder} is open to others \(mode {mode:04o}\): chmod 700 it"):
        pool_folder("demo")
    assert _mode(folder) == mode


@pytest.mark.parametrize("mode", [0o600, 0o500, 0o300, 0o000])
def test_a_folder_that_is_closed_to_its_owner_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PoolError, match=rf"{folder} is closed to yourself \(mode {mode:04o}\): chmod 700 it"):
        private_folder(folder)


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.getuid() == 0:
        foreign = tmp_path / "foreign"
        foreign.mkdir(mode=0o700)
        os.chown(foreign, 65534, -1)
    else:
        foreign = Path("/usr")  # root's everywhere
    owner = foreign.stat().st_uid
    with pytest.raises(PoolError, match=rf"{foreign} belongs to user {owner}, not to you \({os.getuid()}\)"):
        private_folder(foreign)


@pytest.mark.parametrize("target", ["a folder", "a file", "nothing", "itself"])
def test_a_link_is_refused_whatever_its_target(folder: Path, tmp_path: Path, target: str) -> None:
    real = folder if target == "itself" else tmp_path / "real"
    if target == "a folder":
        real.mkdir(mode=0o700)
    elif target == "a file":
        real.touch(mode=0o600)
    folder.symlink_to(real)
    with pytest.raises(PoolError, match=rf"{folder} is not a folder \(a link is not accepted either\)"):
        pool_folder("demo")
    assert target != "a folder" or not list(real.iterdir())


def test_a_file_instead_of_the_folder_is_refused(folder: Path) -> None:
    folder.touch()
    with pytest.raises(PoolError, match=f"{folder} is not a folder"):
        pool_folder("demo")


@pytest.mark.parametrize("place", ["under a file", "in /proc", "too long"])
def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").touch()
    path = {
        "under a file": tmp_path / "file" / "pools",
        "in /proc": Path("/proc/warmbench/pools"),
        "too long": tmp_path / ("x" * 300),
    }[place]
    monkeypatch.setenv("WARMBENCH_HOME", str(path))
    with pytest.raises(PoolError, match=rf"{path} can't be made: .*: set WARMBENCH_HOME"):
        pool_folder("demo")


def test_a_relative_home_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARMBENCH_HOME", "pools")
    assert pool_folder("demo") == tmp_path / "pools" / "demo"


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_home_each_user_has_a_folder_in_tmp(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("WARMBENCH_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("WARMBENCH_HOME", value)
    assert home() == Path("/", "tmp", f"warmbench-{os.getuid()}")


@pytest.mark.parametrize("name", ["demo", "demo_gpu-2", "v1.0", "-x", "_", "测试", "é", "x" * 48])
def test_valid_pool_names_are_accepted(pools: Path, name: str) -> None:
    assert check_name(name) == name
    assert pool_folder(name).parent == pools


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "../a", "/a", "a\\b", "a b", "a\n", "a\0", "a:b", "x" * 49, "测" * 17, "\udc80"],
)
def test_invalid_pool_names_are_refused_before_a_folder_is_made(pools: Path, name: str) -> None:
    with pytest.raises(PoolError, match="can't name a pool: letters, digits"):
        check_name(name)
    with pytest.raises(PoolError):
        pool_folder(name)
    assert not pools.exists() or not list(pools.iterdir())


@settings(max_examples=300)
@given(st.text(st.characters() | st.sampled_from("./\\-_ \0\n~ab"), max_size=50))
def test_an_accepted_name_never_leaves_the_folder(name: str) -> None:
    try:
        check_name(name)
    except PoolError:
        return
    base = Path("/pools")
    path = base / name
    assert path.parent == base
    assert Path(os.path.normpath(path)) == path
    assert path.name == name
    assert len(os.fsencode(name)) <= 48
    assert name.isprintable()


@pytest.mark.parametrize("place", ["new", "there", "under a file", "under a link to nothing", "in /proc", "too long"])
def test_checking_a_folder_finds_what_making_it_would_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nothing")
    (tmp_path / "there").mkdir(mode=0o700)
    path = {
        "new": tmp_path / "new" / "pools",
        "there": tmp_path / "there",
        "under a file": tmp_path / "file" / "pools",
        "under a link to nothing": tmp_path / "link" / "pools",
        "in /proc": Path("/proc/warmbench/pools"),
        "too long": tmp_path / ("x" * 300),
    }[place]
    monkeypatch.setenv("WARMBENCH_HOME", str(path))
    before = sorted(tmp_path.rglob("*"))
    if place in ("new", "there"):
        check_pool_folder("demo")
        assert sorted(tmp_path.rglob("*")) == before
        pool_folder("demo")
        check_pool_folder("demo")
    else:
        for check in (check_pool_folder, pool_folder):
            with pytest.raises(PoolError, match=rf"{path} can't be made: .*: set WARMBENCH_HOME"):
                check("demo")
        assert sorted(tmp_path.rglob("*")) == before


def test_of_a_killed_launcher_and_its_workers_only_the_logs_stay(tmp_path: Path) -> None:
    for name in ("pool.json", "editor-0.json", "editor-0-12ab.sock", "editor-0.log", "launcher.log"):
        (tmp_path / name).write_text("{}")
    links = tmp_path / "editor-0.links" / "0123" / "vae"
    links.mkdir(parents=True)
    (links / "config.json").symlink_to(tmp_path / "editor-0.log")
    clear_dead_pool(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["editor-0.log", "launcher.log"]
