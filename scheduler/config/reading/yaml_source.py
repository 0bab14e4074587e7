"""Reads a config file: safe YAML, in bounded memory, with the line of every key.

Aliases and merge keys work, up to a limit on the expanded size.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader

from scheduler.base.files import packed_as
from scheduler.base.text import CONVERT
from scheduler.config.problems import ConfigError, Location, Problem, printable
from scheduler.config.reading.yaml_values import PLAIN_WORDS, ValueReader

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 50_000
MAX_CHARACTERS = 8 << 20
_SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc] # libyaml's loader where it is there, else PyYAML's own: known at run time only
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way of declaring them


for _tag, _pattern, _first in PLAIN_WORDS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


class YamlSource(Struct, frozen=True):
    """A file as read. ``lines`` count from 1; ``words`` are the scalars as they were written.

    ``problems`` are those that did not end the reading. ``options`` has the values that came from the command line,
    each with its option.
    """

    file: Path
    data: dict[str, Any]
    lines: Mapping[Location, int] = {}
    words: Mapping[Location, str] = {}
    problems: tuple[Problem, ...] = ()
    options: Mapping[Location, str] = {}

    def where(self, location: Location) -> str:
        """The line of a value, in brackets, for the end of a message; empty for a default and the command line's."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.options:
                return ""
            if line := self.lines.get(location[:end]):
                return f" (line {line})"
        return ""


def read_source(file: Path) -> YamlSource:
    """Read one YAML mapping.

    Raises:
        ConfigError: there is no such file, or it can't be read: too large, no UTF-8, no YAML, no mapping, too deep,
            or aliases that expand to too much. With line and column where there is one.
    """
    text = _read_text(file)
    try:
        _check_depth(text, file)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(file, text, error) from error
    except yaml.YAMLError as error:
        raise _broken(file, f"is not YAML: {printable(str(error), 300)}") from error
    if root is None:
        raise _broken(file, "is empty", "`configs/template.yaml` shows every key")
    if not isinstance(root, MappingNode):
        kind = "a list" if isinstance(root, SequenceNode) else "a single value"
        raise _broken(file, f"holds {kind}, not a mapping of sections (line {root.start_mark.line + 1})")
    _Measure(file).measure(root, 1)
    reader = ValueReader()
    data = reader.mapping(root, ())
    return YamlSource(file, data, reader.lines, reader.words, tuple(reader.problems))


def _read_text(file: Path) -> str:
    try:
        kind = stat.S_IFMT(file.stat().st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):  # opening a pipe would wait for its writer
            raise _broken(file, f"is {_SPECIAL.get(kind, 'a device')}, not a regular file", "save it as a file")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _broken(file, "there is no such file") from error
    except (OSError, ValueError) as error:
        raise _broken(file, f"can't be read: {getattr(error, 'strerror', None) or error}") from error
    if packed := packed_as(raw):
        raise _broken(file, f"is {packed}; unpack it")
    if len(raw) > MAX_BYTES:
        raise _broken(file, "is larger than 1 MiB: that is no config", "is it the data file?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _broken(file, f"is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}", CONVERT) from error
    if bad := Reader.NON_PRINTABLE.search(text):
        line, column = text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start())
        place = f"line {line}, column {column}"
        raise _broken(file, f"{place}: the control character {bad.group()!r} is not allowed in YAML")
    return text


def _check_depth(text: str, file: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise _broken(file, f"line {line}: nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Measure:
    """Measures the document as if its aliases were expanded, without expanding them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[int, tuple[int, int, int]] = {}
        self._open: set[int] = set()

    def measure(self, node: Node, depth: int) -> tuple[int, int, int]:
        """Return (nodes, characters, height), or raise where one of them is too much."""
        if id(node) in self._open:
            raise _broken(self._file, f"line {node.start_mark.line + 1}: an alias stands inside what it names")
        nodes, characters, height = self._known.get(id(node), (0, 0, 0))
        if not nodes:
            self._open.add(id(node))
            nodes, characters = 1, len(node.value) if isinstance(node, ScalarNode) else 0
            for child in _children(node):
                below = self.measure(child, depth + 1)
                nodes, characters, height = nodes + below[0], characters + below[1], max(height, below[2] + 1)
            self._open.remove(id(node))
            self._known[id(node)] = (nodes, characters, height)
        line = node.start_mark.line + 1
        if depth + height > MAX_DEPTH:
            raise _broken(self._file, f"line {line}: nested deeper than {MAX_DEPTH} levels")
        if nodes > MAX_NODES or characters > MAX_CHARACTERS:
            too_much = f"more than {MAX_NODES} values or 8 MiB of text once its aliases expand"
            raise _broken(self._file, f"line {line}: {too_much}")
        return nodes, characters, height


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value


def _broken(file: Path, message: str, hint: str | None = None) -> ConfigError:
    return ConfigError([Problem("", f"{file.name}: {message}", hint)], file)


def _syntax_error(file: Path, text: str, error: yaml.MarkedYAMLError) -> ConfigError:
    what = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _broken(file, f"is not YAML: {printable(what, 300)}")
    near = text.splitlines()[max(0, mark.line - 1) : mark.line + 1]
    tabs = any("\t" in line[: len(line) - len(line.lstrip())] for line in near)
    hint = "YAML is indented with spaces, never with tabs" if tabs else None
    return _broken(file, f"line {mark.line + 1}, column {mark.column + 1}: {printable(what, 300)}", hint)
