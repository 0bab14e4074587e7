"""Makes plain values of YAML nodes: mappings, lists, text, numbers, booleans and nulls.

Different from YAML 1.1 as PyYAML reads it: dates and ``1:30`` are text, ``1e-3`` is a number, ``010`` is text. Bare
``yes``, ``no``, ``on`` and ``off`` are booleans, and the word is kept, so that an error can explain what became of a
category named ``no``.
"""

from __future__ import annotations

import re
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scheduler.config.problems import Location, Problem, dotted, printable

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR, _MERGE = (
    f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "merge")
)
_SEQUENCE, _MAPPING = f"{_TAG}seq", f"{_TAG}map"
_TRUE = frozenset({"true", "yes", "on"})

PLAIN_WORDS: tuple[tuple[str, re.Pattern[str], list[str] | None], ...] = (
    (_NULL, re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    (
        _BOOL,
        re.compile(r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
        list("yYnNtTfFoO"),
    ),
    (_INT, re.compile(r"^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+)$"), list("-+0123456789")),
    (
        _FLOAT,
        re.compile(
            r"^[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?"
            r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+0123456789."),
    ),
    (_MERGE, re.compile(r"^<<$"), ["<"]),
)
"""Bare words that are not text: (tag, pattern, first characters)."""


class ValueReader:
    """Makes plain values of nodes, and keeps the line of each."""

    def __init__(self) -> None:
        self.lines: dict[Location, int] = {}
        self.words: dict[Location, str] = {}
        self.problems: list[Problem] = []

    def mapping(self, node: MappingNode, at: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in self._merged(node, at):
            self._enter(result, key_node, value_node, at)
        own: dict[str, int] = {}
        for key_node, value_node in _own_pairs(node):
            word, line = str(key_node.value), key_node.start_mark.line + 1
            if isinstance(key_node, ScalarNode) and word in own:
                message = f"is there twice: in line {own[word]} and in line {line}"
                self._report((*at, word), message, "remove one of the two")
                continue
            own[word] = line
            self._enter(result, key_node, value_node, at)
        return result

    def _enter(self, result: dict[str, Any], key_node: Node, value_node: Node, at: Location) -> None:
        key = self._key(key_node, at)
        if key is not None:
            self.lines[(*at, key)] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*at, key))

    def value(self, node: Node, at: Location) -> Any:
        self.lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, MappingNode) and node.tag == _MAPPING:
            return self.mapping(node, at)
        if isinstance(node, SequenceNode) and node.tag == _SEQUENCE:
            return [self.value(item, (*at, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node, at)
        return self._refused_tag(node, at)

    def _scalar(self, node: ScalarNode, at: Location) -> Any:
        text: str = node.value
        self.words[at] = text
        if node.tag == _STR:
            return text
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return text.casefold() in _TRUE
        try:
            if node.tag == _INT:
                return int(text.replace("_", ""), 0)
            if node.tag == _FLOAT:
                return float(re.sub(r"(?i)\.(inf|nan)$", r"\1", text))
        except ValueError:
            self._report(at, f"{printable(text, 40)} is too long for a number (line {node.start_mark.line + 1})")
            return None
        return self._refused_tag(node, at)

    def _key(self, node: Node, at: Location) -> str | None:
        line = node.start_mark.line + 1
        if not isinstance(node, ScalarNode):
            self._report(at, f"a key must be a single word, found a list or mapping (line {line})")
            return None
        word = str(node.value)
        if node.tag in (_STR, _INT):
            return word
        read_as = {_NULL: "null", _BOOL: "true" if word.casefold() in _TRUE else "false", _FLOAT: "a number"}
        meaning = read_as.get(node.tag, "something else")
        message = f"YAML reads the bare key {printable(word)!r} as {meaning} (line {line})"
        self._report((*at, word), message, f'put it into quotes: "{printable(word)}"')
        return word

    def _merged(self, node: MappingNode, at: Location) -> list[tuple[Node, Node]]:
        pairs: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
            for source in sources:
                if not isinstance(source, MappingNode):
                    self._report((*at, "<<"), f"must name a mapping (line {key_node.start_mark.line + 1})")
                    continue
                for merged_key, merged_value in [*_own_pairs(source), *self._merged(source, at)]:
                    pairs.setdefault(str(merged_key.value), (merged_key, merged_value))
        return list(pairs.values())

    def _refused_tag(self, node: Node, at: Location) -> None:
        message = f"the tag {printable(node.tag)} is not accepted (line {node.start_mark.line + 1})"
        self._report(at, message, "write the plain value")

    def _report(self, at: Location, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(dotted(at), message, hint))


def _own_pairs(node: MappingNode) -> list[tuple[Node, Node]]:
    return [(key, value) for key, value in node.value if key.tag != _MERGE]
