from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.benchmark import DataError, load, load_benchmark
from scheduler.benchmark.formats import Category, Format, Item, image_file
from scheduler.benchmark.formats.declaration import FORMATS
from tests.csv_format import install_csv_format, write_csv
from tests.plugin_packages import install
from tests.scheduler.benchmark.make import image_bytes, pair, write_bytes, write_json
from workers.models.plugins import Registry

BUILTIN = {name: f"scheduler.benchmark.formats.{name}:FORMAT" for name in ("json", "risebench")}
BUILTIN["json"] = "scheduler.benchmark.formats.json_pairs:FORMAT"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path for plug-ins, and a registry that has not looked for any yet."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(load, "FORMATS", Registry("warmbench.formats", Format, BUILTIN))
    return folder


def plug_in(site: Path, name: str, source: str) -> None:
    """A package whose module declares ``read`` and ``detect``."""
    package = f"format_{name}"
    head = "from scheduler.benchmark.formats import *\n"
    tail = f"\nFORMAT = Format({name!r}, 'for a test', read, detect)\n"
    install(site, package, "warmbench.formats", {name: f"{package}:FORMAT"}, head + source + tail)


def refused(path: Path, format_name: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_benchmark(path, format_name=format_name)
    return str(caught.value).removeprefix(f"{path}: ")


def test_the_built_in_formats_say_what_they_are() -> None:
    official = ("risebench", "risebench_v2", "gedit", "imgedit", "imgedit_uge", "kris", "unicbench")
    assert FORMATS.names() == ("json", *official, "jsonl", "imagefolder", "parquet", "arrow")
    assert all(declared.meaning for declared in FORMATS.all().values())


def test_a_format_of_a_plug_in_is_detected_read_and_named(site: Path, tmp_path: Path) -> None:
    install_csv_format(site, "csv_read")
    (tmp_path / "a.png").write_bytes(image_bytes((10, 8)))
    rows = [
        ("1", "c", "make it blue", "a.png"),
        ("2", "c", "", "a.png"),
        ("../3", "c", "x", "a.png"),
        ("4", "d", "x", "/b"),
    ]
    benchmark = load_benchmark(write_csv(tmp_path / "data.csv", rows))
    assert benchmark.format == "csv"
    assert [item.key for item in benchmark.pairs] == ["c/1"]
    assert benchmark.pairs[0].source.read() == image_bytes((10, 8))
    assert [(item.key, item.kind) for item in benchmark.bad] == [
        ("c/2", "no_instruction"),
        ("c/#3", "bad_id"),
        ("d/4", "bad_image"),
    ]


def test_a_format_that_is_named_is_used_whatever_the_path_looks_like(site: Path, tmp_path: Path) -> None:
    install_csv_format(site, "csv_named")
    path = write_csv(tmp_path / "data.txt", [("1", "c", "x", "a.png")])
    assert "this is no JSON" in refused(path)
    assert load_benchmark(path, format_name="csv").bad[0].kind == "bad_image"
    renamed = write_json(tmp_path, {"c": [pair()]}, "data.csv")
    assert len(load_benchmark(renamed, format_name="json").pairs) == 1


def test_a_format_that_nobody_declares_is_refused_with_those_that_are_known(site: Path, tmp_path: Path) -> None:
    path = write_json(tmp_path, {"c": [pair()]})
    assert refused(path, "yaml") == "there is no format 'yaml'; known here: json, risebench"


def test_a_broken_format_is_named_when_it_is_asked_for_and_hurts_no_other_data(site: Path, tmp_path: Path) -> None:
    install(site, "format_broken", "warmbench.formats", {"broken": "format_broken:FORMAT"}, "import no_such_module")
    path = write_json(tmp_path, {"c": [pair()]})
    assert len(load_benchmark(path).pairs) == 1
    assert "format_broken 1.2" in refused(path, "broken")
    assert "No module named 'no_such_module'" in refused(path, "broken")


def test_a_path_that_two_formats_recognize_is_refused(site: Path, tmp_path: Path) -> None:
    for name in ("left", "right"):
        plug_in(site, name, "def detect(path): return path.suffix == '.x'\ndef read(path): return []")
    path = write_bytes(tmp_path, b"", "data.x")
    assert refused(path) == "it may be of the format left and right; set benchmark.format to one of them"
    assert refused(path, "left") == "there is no pair in it"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise KeyError('id')", "KeyError: 'id'"),
        ("yield {'id': 1}", "AttributeError: 'dict' object has no attribute 'category'"),
        ("yield Item('1', 'c', 'x', lambda *, thorough: 1 / 0)", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_plug_in_that_fails_while_it_reads_is_named_with_its_error(
    site: Path, tmp_path: Path, body: str, error: str
) -> None:
    name = f"fails_{body[:5].strip()}_{len(body)}"
    plug_in(site, name, f"detect = None\ndef read(path):\n    {body}\n    yield")
    path = write_bytes(tmp_path, b"", "data.x")
    assert refused(path, name) == f"the format {name} of the package format_{name} 1.2 failed: {error}"


def test_a_plug_in_that_fails_while_it_detects_hurts_no_other_data(site: Path, tmp_path: Path) -> None:
    plug_in(site, "blind", "def detect(path): raise ValueError('cannot look')\ndef read(path): return []")
    benchmark = load_benchmark(write_json(tmp_path, {"c": [pair()]}))
    assert benchmark.warnings == (
        "the format blind of the package format_blind 1.2 failed to look at the data: ValueError: cannot look",
    )


ENTRIES: list[Category | Item] = []
LISTED = Format("listed", "for a test", lambda path: iter(ENTRIES))


def reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *entries: Category | Item) -> list[str]:
    """Load these entries; return the key of every item with the reason why it is bad."""
    (tmp_path / "a.png").write_bytes(image_bytes())
    monkeypatch.setattr(load, "FORMATS", Registry("warmbench.formats", Format, {"listed": f"{__name__}:LISTED"}))
    ENTRIES[:] = entries
    benchmark = load_benchmark(tmp_path, format_name="listed")
    return [f"{item.key}: {getattr(item, 'message', 'good')}" for item in benchmark.items]


def item(tmp_path: Path, pair_id: object = "1", category: object = None, instruction: object = "x") -> Item:
    return Item(pair_id, category, instruction, image_file(tmp_path, "a.png"))  # type: ignore[arg-type] # wrong on purpose


def test_items_belong_to_the_category_before_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = (Category("c"), item(tmp_path), Category("d"), item(tmp_path))
    assert reasons(tmp_path, monkeypatch, *entries) == ["c/1: good", "d/1: good"]


def test_values_of_another_type_are_bad_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [item(tmp_path, 1, "c"), item(tmp_path, None, "c"), item(tmp_path, "3"), item(tmp_path, "4", "c", b"x")]
    assert reasons(tmp_path, monkeypatch, *entries) == [
        "c/#1: pair_id is of the type int; expected text",
        "c/#2: pair_id is missing",
        "#unknown/3: category is missing",
        "c/4: instruction is of the type bytes; expected text",
    ]
