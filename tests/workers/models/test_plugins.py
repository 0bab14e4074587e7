from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugin_packages import install
from workers.models.plugins import PluginError, Registry

GROUP = "warmbench.colours"


@dataclass(frozen=True)
class Colour:
    name: str
    aliases: tuple[str, ...] = ()


RED = Colour("red", aliases=("crimson",))
BLUE = Colour("blue")


def registry() -> Registry[Colour]:
    return Registry(GROUP, Colour, {"red": f"{__name__}:RED", "blue": f"{__name__}:BLUE"})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def plug_in(site: Path, package: str, name: str, aliases: tuple[str, ...] = (), *, declared: str | None = None) -> None:
    """A package whose declaration has this name, if no other is ``declared``."""
    source = f"from {__name__} import Colour\nCOLOUR = Colour({declared or name!r}, {aliases!r})\n"
    install(site, package, GROUP, {name: f"{package}:COLOUR"}, source)


def error_of(name: str) -> str:
    with pytest.raises(PluginError) as caught:
        registry().get(name)
    return str(caught.value)


def test_what_is_built_in_comes_first_in_the_table_s_order_and_then_plug_ins_by_name(site: Path) -> None:
    plug_in(site, "pkg_yellow", "yellow")
    plug_in(site, "pkg_green", "green")
    colours = registry()
    assert colours.names() == ("red", "blue", "green", "yellow")
    assert list(colours.all()) == ["red", "blue", "green", "yellow"]
    assert colours.get("green") == Colour("green")
    assert colours.get("red") is RED
    assert [colours.package(name) for name in ("red", "green")] == [None, "pkg_green 1.2"]


def test_a_declaration_is_found_by_its_alias(site: Path) -> None:
    plug_in(site, "pkg_teal", "teal", aliases=("cyan",))
    assert registry().get("crimson") is RED
    assert registry().get("cyan").name == "teal"
    assert "cyan" not in registry().names()


def test_a_name_that_nobody_declares_is_a_key_error(site: Path) -> None:
    with pytest.raises(KeyError, match="mauve"):
        registry().get("mauve")


def test_a_plug_in_is_imported_only_when_it_is_asked_for(site: Path) -> None:
    plug_in(site, "pkg_lazy", "lazy")
    colours = registry()
    assert (colours.names(), colours.get("red"), colours.get("crimson")) == (("red", "blue", "lazy"), RED, RED)
    assert "pkg_lazy" not in sys.modules
    assert colours.get("lazy").name == "lazy"


def test_plug_ins_are_looked_up_at_the_first_use(site: Path) -> None:
    colours = registry()
    plug_in(site, "pkg_late", "late")
    assert "late" in colours.names()


@pytest.mark.parametrize(
    ("value", "source", "reason"),
    [
        ("broken_one:COLOUR", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken_one:COLOUR", "raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("broken_one:COLOUR", "raise SystemExit(3)", "SystemExit: 3"),
        ("broken_one:COLOUR", "raise GeneratorExit", "GeneratorExit: "),
        ("broken_one:COLOR", "", "AttributeError"),
        ("not a module", "", "AttributeError"),
        (
            "broken_one:COLOUR",
            "COLOUR = 'green'",
            f"TypeError: expected an object of {__name__}.Colour, found one of str",
        ),
        (
            "broken_one:COLOUR",
            f"from {__name__} import Colour\nCOLOUR = Colour('greem')",
            "ValueError: its declaration has the name 'greem'",
        ),
    ],
)
def test_a_broken_plug_in_is_named_with_its_package_and_hurts_no_other(
    site: Path, monkeypatch: pytest.MonkeyPatch, value: str, source: str, reason: str
) -> None:
    monkeypatch.delitem(sys.modules, "broken_one", raising=False)
    install(site, "broken_one", GROUP, {"green": value}, source)
    plug_in(site, "pkg_sound", "sound")
    message = error_of("green")
    assert message.startswith(f"{GROUP}: 'green' of the package broken_one 1.2 ({value}) cannot be used: {reason}")
    assert "green" in registry().names()
    assert list(registry().all()) == ["red", "blue", "sound"]
    assert registry().get("crimson") is RED


def test_a_broken_plug_in_is_imported_once(site: Path) -> None:
    source = "import time, pathlib\npathlib.Path(__file__ + str(time.monotonic_ns())).touch()\nraise RuntimeError"
    install(site, "pkg_slow", GROUP, {"slow": "pkg_slow:COLOUR"}, source)
    colours = registry()
    messages = []
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            colours.get("slow")
        messages.append(str(caught.value))
        assert list(colours.all()) == ["red", "blue"]
    assert len(set(messages)) == 1
    assert len(list(site.glob("pkg_slow.py?*"))) == 1


def test_a_package_without_metadata_is_named_by_its_module(site: Path) -> None:
    install(site, "pkg_nameless", GROUP, {"pale": "pkg_nameless:COLOUR"}, "")
    (site / "pkg_nameless-1.2.dist-info" / "METADATA").unlink()
    assert registry().package("pale") == "pkg_nameless"
    assert error_of("pale").startswith(f"{GROUP}: 'pale' of the package pkg_nameless (pkg_nameless:COLOUR) cannot")


def test_a_plug_in_with_the_name_of_a_built_in_one_is_an_error_that_names_both(site: Path) -> None:
    plug_in(site, "pkg_other_red", "red")
    assert error_of("red") == (
        f"{GROUP}: 'red' is declared by warmbench itself ({__name__}:RED) and the package pkg_other_red 1.2 "
        "(pkg_other_red:COLOUR); uninstall all but one"
    )
    assert list(registry().all()) == ["blue"]


def test_two_plug_ins_with_one_name_are_an_error_that_names_both(site: Path) -> None:
    plug_in(site, "pkg_grey_a", "grey")
    plug_in(site, "pkg_grey_b", "grey")
    message = error_of("grey")
    assert "pkg_grey_a 1.2" in message
    assert "pkg_grey_b 1.2" in message
    assert list(registry().all()) == ["red", "blue"]


@pytest.mark.parametrize(
    ("name", "aliases", "taken", "owner"),
    [("crimson", (), "crimson", "red"), ("pink", ("crimson",), "crimson", "red"), ("pink", ("blue",), "blue", "blue")],
)
def test_a_plug_in_may_not_take_a_built_in_one_s_name_or_alias_as_its_own(
    site: Path, name: str, aliases: tuple[str, ...], taken: str, owner: str
) -> None:
    package = f"pkg_taking_{name}_{taken}"
    plug_in(site, package, name, aliases)
    message = error_of(name)
    assert message.startswith(f"{GROUP}: {name!r} of the package {package} 1.2 ({package}:COLOUR) cannot be used: ")
    assert f"{taken!r} is also {owner!r} of warmbench itself ({__name__}:{owner.upper()})" in message
    assert list(registry().all()) == ["red", "blue"]


def test_an_alias_of_two_plug_ins_is_an_error_only_where_it_is_used(site: Path) -> None:
    plug_in(site, "pkg_navy", "navy", aliases=("dark",))
    plug_in(site, "pkg_olive", "olive", aliases=("dark",))
    message = error_of("dark")
    assert "pkg_navy 1.2" in message
    assert "pkg_olive 1.2" in message
    assert list(registry().all()) == ["red", "blue", "navy", "olive"]


def test_the_registry_imports_without_any_installed_package_and_reads_no_metadata_before_its_use() -> None:
    root = Path(__file__).resolve().parents[3]
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "from workers.models.plugins import Registry\n"
        "Registry('warmbench.colours', object, {})\n"
        "print('importlib.metadata' in sys.modules)"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
