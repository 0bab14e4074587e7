"""A registry of declarations: built in, or brought by an installed package as an entry point.

Nothing is looked up before the first use, and a declaration is imported when it is asked for. A plug-in that cannot be
used is an error of its own name alone. Only the standard library is imported, as the environment of a reward may have
no more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints


class Declaration(Protocol):
    """What a registry holds. An alias is another name of the same thing."""

    @property
    def name(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Declaration)


class PluginError(Exception):
    """A declaration that cannot be used; the message names the package, the entry point and the reason."""


class Registry(Generic[T]):
    """The declarations of one kind, by name."""

    def __init__(self, group: str, kind: type[T], builtin: Mapping[str, str]) -> None:
        """``group`` is that of the entry points; ``builtin`` gives the ``module:ATTRIBUTE`` of each name."""
        self.group = group
        self._kind = kind
        self._builtin = builtin
        self._loaded: dict[str, T | PluginError] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names, without aliases: built in, then plug-ins by name, those that cannot be used included."""
        return tuple(self._entries)

    def package(self, name: str) -> str | None:
        """Return the name and version (or the module) of the package that brings this name; None if it is built in."""
        return _package(self._entries[name][0])

    def get(self, name: str) -> T:
        """Return the declaration of this name or alias.

        Raises:
            KeyError: there is none.
            PluginError: it cannot be used.
        """
        if name in self._entries:
            return self._load(name)
        owners: list[T] = []
        for declaration in self._usable(self._entries):
            if name in declaration.aliases:
                owners.append(declaration)
                if declaration.name in self._builtin:
                    break
        if not owners:
            raise KeyError(name)
        if len(owners) > 1:
            raise self._conflict(name, [self._entries[owner.name][0] for owner in owners])
        return owners[0]

    def all(self) -> dict[str, T]:
        """Return every declaration that can be used, by name."""
        return {declaration.name: declaration for declaration in self._usable(self._entries)}

    @cached_property
    def _entries(self) -> dict[str, list[EntryPoint]]:
        """The entry points of each name; more than one is a conflict."""
        from importlib.metadata import EntryPoint

        entries = {name: [EntryPoint(name, value, self.group)] for name, value in self._builtin.items()}
        installed = _installed(tuple(sys.path)).select(group=self.group)
        for entry in sorted(installed, key=lambda entry: (entry.name, entry.value)):
            entries.setdefault(entry.name, []).append(entry)
        return entries

    def _usable(self, names: Iterable[str]) -> Iterator[T]:
        for name in names:
            try:
                yield self._load(name)
            except PluginError:
                continue

    def _load(self, name: str) -> T:
        if name not in self._loaded:
            self._loaded[name] = self._try(name, self._entries[name])
        if isinstance(loaded := self._loaded[name], PluginError):
            raise loaded.with_traceback(None)
        return loaded

    def _try(self, name: str, entries: Sequence[EntryPoint]) -> T | PluginError:
        if len(entries) > 1:
            return self._conflict(name, entries)
        try:
            return self._checked(entries[0])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an import may raise SystemExit, or what compiled code raises
            reason = f"{type(error).__name__}: {error}"
            return PluginError(f"{self.group}: {name!r} of {_owner(entries[0])} cannot be used: {reason}")

    def _checked(self, entry: EntryPoint) -> T:
        """Import the declaration; whatever the import raises comes through."""
        declaration = entry.load()
        if not isinstance(declaration, self._kind):
            expected = f"{self._kind.__module__}.{self._kind.__qualname__}"
            raise TypeError(f"expected an object of {expected}, found one of {type(declaration).__qualname__}")
        if declaration.name != entry.name:
            raise ValueError(f"its declaration has the name {declaration.name!r}")
        if entry.name not in self._builtin:
            taken = {alias: other.name for other in self._usable(self._builtin) for alias in other.aliases}
            taken |= {name: name for name in self._entries if name != entry.name}
            for alias in (entry.name, *declaration.aliases):
                if owner := taken.get(alias):
                    raise ValueError(f"{alias!r} is also {owner!r} of {_owner(self._entries[owner][0])}")
        return declaration

    def _conflict(self, name: str, entries: Iterable[EntryPoint]) -> PluginError:
        owners = " and ".join(map(_owner, entries))
        return PluginError(f"{self.group}: {name!r} is declared by {owners}; uninstall all but one")


@cache
def _installed(_path: tuple[str, ...]) -> EntryPoints:
    """The entry points of all packages on this ``sys.path``: all registries read the packages' files once."""
    from importlib.metadata import entry_points

    return cast("EntryPoints", entry_points())  # before Python 3.12 it is another class, which has select() as well


def _owner(entry: EntryPoint) -> str:
    package = _package(entry)
    owner = f"the package {package}" if package else "warmbench itself"
    return f"{owner} ({entry.value})"


def _package(entry: EntryPoint) -> str | None:
    if entry.dist is None:
        return None
    named = "Name" in entry.dist.metadata
    return f"{entry.dist.name} {entry.dist.version}" if named else entry.value.partition(":")[0]
