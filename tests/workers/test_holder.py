"""The model that a worker holds: which loads are refused, and when its files have changed."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protocol.messages import LoadedModel, ModelSpec, Residency
from tests.waiting import wait_until
from workers import holder as holder_module
from workers.device import Watchdog
from workers.fingerprint import fingerprint
from workers.holder import ModelHolder
from workers.interface import Editor, EditRequest, ModelError, Progress, WorkerContext


class FileEditor(Editor):
    """A user's editor with one file. Its params say what is wrong with it."""

    def load(self, residency: Residency) -> None:
        content = Path(self.spec.params["file"]).read_bytes()
        if self.spec.params.get("changes"):
            rewrite(Path(self.spec.params["file"]), content + b"!")

    def place(self, residency: Residency) -> None:
        if self.spec.params.get("changes_when_moved") == residency:
            rewrite(Path(self.spec.params["file"]), b"new weights")

    def weight_files(self) -> Sequence[str]:
        return (self.spec.params["file"],)

    def size_bytes(self) -> int:
        size: int = self.spec.params.get("size", 7)  # a user's class may give anything
        return size

    def versions(self) -> Mapping[str, str]:
        versions: Mapping[str, str] = self.spec.params.get("versions", {})
        return versions

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        return request.image


class LateEditor(FileEditor):
    """An editor that knows its file only once it is loaded."""

    _files: Sequence[str] = ()

    def load(self, residency: Residency) -> None:
        super().load(residency)
        self._files = (self.spec.params["file"],)

    def weight_files(self) -> Sequence[str]:
        return self._files


class CyclicEditor(FileEditor):
    """An editor that no reference count frees, and whose library is a list."""

    library: list[list[int]]

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self.itself = self

    def prepare(self) -> None:
        assert not gc.isenabled(), "a collection would look at what is imported, again and again"
        CyclicEditor.library = [[]]


def rewrite(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").rename(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder / "config.json"


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModelHolder:
    if "dropped_by" not in request.fixturenames:
        # Looking for these empty models among all objects of the test session takes half a second each time.
        monkeypatch.setattr(holder_module, "free_model_memory", lambda: None)
    (tmp_path / "pool").mkdir()
    return ModelHolder("cpu", Watchdog(), WorkerContext(folder=tmp_path / "pool"))


def load(
    holder: ModelHolder, file: Path, *, kind: type[Editor] = FileEditor, to: Residency = "host", **params: Any
) -> LoadedModel:
    spec = ModelSpec(
        role="editor",
        class_path=f"{__name__}.{kind.__name__}",
        name=str(file.parent),
        params={"file": str(file), **params},
    )
    try:
        return holder.load(spec, to, serial=True, timeout=60, enter=lambda phase: None)
    finally:
        holder._watchdog.disarm()


def place(holder: ModelHolder, residency: Residency) -> None:
    try:
        holder.place(residency)
    finally:
        holder._watchdog.disarm()


@pytest.mark.parametrize("kind", [FileEditor, LateEditor])
def test_files_that_change_while_they_are_read_fail_the_load(
    holder: ModelHolder, file: Path, kind: type[Editor]
) -> None:
    with pytest.raises(ModelError, match="changed while they were loaded") as caught:
        load(holder, file, kind=kind, changes=True)
    assert caught.value.kind == "stale"
    assert load(holder, file, kind=kind).size_bytes == 7, "once they are left alone, they are loaded"


def test_files_that_changed_since_loading_make_the_model_stale(holder: ModelHolder, file: Path) -> None:
    load(holder, file)
    place(holder, "disk")
    place(holder, "host")
    place(holder, "disk")
    rewrite(file, b"{} ")
    assert holder.is_stale()
    with pytest.raises(ModelError, match="changed since it was loaded") as caught:
        place(holder, "host")
    assert caught.value.kind == "stale"


def test_files_that_change_while_they_come_back_from_disk_are_refused_too(holder: ModelHolder, file: Path) -> None:
    load(holder, file, to="disk", changes=True)
    with pytest.raises(ModelError, match="changed since it was loaded"):
        place(holder, "host")


def test_weights_whose_files_changed_do_not_return_to_the_device(holder: ModelHolder, file: Path) -> None:
    load(holder, file)
    place(holder, "device")
    rewrite(file, b"{} ")
    place(holder, "host")  # what shares the device needs its memory
    with pytest.raises(ModelError, match="changed since it was loaded") as caught:
        place(holder, "device")
    assert caught.value.kind == "stale"


def test_weights_whose_files_change_while_they_return_never_work_as_the_old_ones(
    holder: ModelHolder, file: Path
) -> None:
    load(holder, file, changes_when_moved="device")
    with pytest.raises(ModelError, match="changed since it was loaded") as caught:
        place(holder, "device")
    assert caught.value.kind == "stale"
    assert holder._model is None


def test_files_are_hashed_when_the_next_load_may_begin(
    holder: ModelHolder, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved: list[list[Path]] = []

    class ReservingEditor(FileEditor):
        def load(self, residency: Residency) -> None:
            reserved.append(list((tmp_path / ".loads").glob("*.reserved")))

    def watched(*arguments: Any, **options: Any) -> str:
        reserved.append(list((tmp_path / ".loads").glob("*.reserved")))
        return fingerprint(*arguments, **options)

    monkeypatch.setattr(holder_module, "fingerprint", watched)
    monkeypatch.setattr(holder_module, "make_model", ReservingEditor)
    load(holder, file)
    assert [len(paths) for paths in reserved] == [1, 0]


def test_weights_that_go_to_host_memory_are_read_even_if_they_are_only_mapped(holder: ModelHolder, file: Path) -> None:
    """Afterwards, only the transfer from host to device is left."""
    weights = file.with_name("weights")
    weights.write_bytes(bytes(2**25))  # more than the kernel reads ahead for one request
    load(holder, weights, kind=MappingEditor, to="disk")
    evict(weights)
    if cached_share(weights) == 1:
        pytest.skip("this file system keeps all files in memory")
    place(holder, "host")
    wait_until(lambda: cached_share(weights) == 1)  # the kernel reads while the worker goes on


def test_a_return_to_the_device_may_take_as_long_as_a_load(
    holder: ModelHolder, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mapped pages may have left memory meanwhile."""
    load(holder, file)
    limits: list[float] = []
    monkeypatch.setattr(FileEditor, "place", lambda *_: limits.append(holder._watchdog._timeout))
    holder._watchdog.begin(600)  # the limit of a job
    place(holder, "device")
    assert limits == [60]


class MappingEditor(FileEditor):
    """An editor that only maps its file, as safetensors does."""

    def load(self, residency: Residency) -> None:
        evict(Path(self.spec.params["file"]))


def evict(file: Path) -> None:
    """Drop the file from the kernel's page cache."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached_share(file: Path) -> float:
    """The share of the file that is in the kernel's page cache, 0 to 1."""
    size = file.stat().st_size
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), size, flags=mmap.MAP_PRIVATE) as mapped:
        pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        start = ctypes.c_char.from_buffer(mapped)
        failed = ctypes.CDLL(None, use_errno=True).mincore(ctypes.byref(start), ctypes.c_size_t(size), pages)
        del start
        assert failed == 0, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages) / len(pages)


def test_sizes_and_versions_of_a_users_model_are_made_fit_for_a_message(holder: ModelHolder, file: Path) -> None:
    loaded = load(holder, file, size=12.0, versions={"mine": 3})
    assert loaded.size_bytes == 12
    assert type(loaded.size_bytes) is int
    assert loaded.versions["mine"] == "3"


@pytest.mark.parametrize(
    "params", [{"size": -1}, {"size": "large"}, {"size": float("inf")}, {"versions": 3}, {"versions": {"a": "\ud800"}}]
)
def test_a_size_or_version_that_cannot_be_sent_fails_the_load(
    holder: ModelHolder, file: Path, params: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match="of FileEditor is not usable") as caught:
        load(holder, file, **params)
    assert caught.value.kind == "config"
    assert load(holder, file).size_bytes == 7


@pytest.mark.parametrize("dropped_by", ["another load", "a move to disk"])
def test_no_collection_looks_at_what_a_model_imports_but_the_model_is_freed(
    holder: ModelHolder, file: Path, dropped_by: str
) -> None:
    load(holder, file, kind=CyclicEditor)
    assert gc.isenabled()
    assert not any(known is CyclicEditor.library for known in gc.get_objects())
    model = weakref.ref(holder._model)
    if dropped_by == "another load":
        load(holder, file, kind=LateEditor)
    else:
        place(holder, "disk")
    assert model() is None
    assert not any(known is CyclicEditor.library for known in gc.get_objects())
