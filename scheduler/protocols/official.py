"""The official files of a benchmark: read, hashed, never executed.

A text comes by ``ast`` from a module's constant or from a literal of a named function, or from JSON.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shlex
import string
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from scheduler.base.text import one_line
from scheduler.protocols.checkout import commit_of
from scheduler.protocols.limited import read_limited

_MAX_BYTES = 1 << 20


class OfficialError(Exception):
    """The official files cannot be used; the message names the file, what was found, and what to do."""


class OfficialFiles(Struct, frozen=True):
    """Which files of which repository a protocol reads.

    ``repository`` is the address to clone. ``paths`` are relative to the checkout. ``tried`` has the commits that this
    protocol was tried with, the one to clone first: commit to path to SHA-256.
    """

    repository: str
    paths: tuple[str, ...]
    tried: Mapping[str, Mapping[str, str]]

    @property
    def how_to_get(self) -> str:
        """The commands that fetch the first version tried."""
        clone, name = f"git clone {self.repository}", PurePosixPath(self.repository).name.removesuffix(".git")
        return f"{clone} && git -C {name} checkout {next(iter(self.tried))}" if self.tried else clone

    def tried_commit(self, hashes: Mapping[str, str]) -> str | None:
        """Return the first commit tried whose files have these hashes."""
        return next((commit for commit, tried in self.tried.items() if tried == hashes), None)

    def deviation(self, hashes: Mapping[str, str], folder: Path) -> str | None:
        """Return what names the files that are not those of a commit tried, and how to get these; None if all are."""
        if not self.tried or self.tried_commit(hashes):
            return None

        def changed(commit: str) -> list[str]:
            tried = self.tried[commit]
            return [path for path in self.paths if hashes.get(path) != tried[path]]

        commit = min(self.tried, key=lambda commit: len(changed(commit)))
        paths, short = changed(commit), commit[:7]
        is_checkout = (folder / ".git").exists()
        command = ["git", "-C", str(folder), "checkout", short, "--", *paths]
        return (
            f"The protocol was tried with commit {short} of {self.repository}; changed since or before: "
            f"{', '.join(paths)}. To get that version, run: {shlex.join(command) if is_checkout else self.how_to_get}"
        )


class OfficialTexts(Struct, frozen=True):
    """The official files as they were read.

    ``hashes`` has the SHA-256 of each path, ``commit`` is that of the checkout (None: it is no checkout, or the files
    have changed since), ``tried_commit`` the one of ``OfficialFiles.tried`` whose hashes these are, None if no one's.
    """

    folder: Path
    contents: Mapping[str, str]
    hashes: Mapping[str, str]
    commit: str | None
    tried_commit: str | None

    def constant(self, path: str, name: str) -> str:
        """Return the text that a module assigns to this name at its top level; raises ``OfficialError``."""
        values = [
            node.value
            for node in self._module(path).body
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and name in _assigned(node)
        ]
        if not values:
            raise self._error(path, f"has no constant {name} at its top level")
        match values:
            case [ast.Constant(value=str(text))]:
                return text
        raise self._error(path, f"assigns to {name} something other than one plain text")

    def literals(self, path: str, function: str) -> tuple[str, ...]:
        """Return the texts within a function of a module's top level, in the order of the source.

        The text parts of an f-string are texts of their own. Docstrings are left out. Raises ``OfficialError``.
        """
        found = [
            node
            for node in self._module(path).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
        ]
        if len(found) != 1:
            raise self._error(path, f"has {len(found)} functions {function} at its top level; expected one")
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(found[0])
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and isinstance(node.body[0], ast.Expr)
        }
        return tuple(_texts(found[0], docstrings))

    def json(self, path: str) -> Any:
        """Return the value of a JSON file; raises ``OfficialError``."""
        try:
            return json.loads(self.contents[path])
        except (ValueError, RecursionError) as error:
            raise self._error(path, f"is no JSON: {one_line(error, 200)}") from error

    def _module(self, path: str) -> ast.Module:
        try:
            return _parsed(self.contents[path])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._error(path, f"is no Python: {one_line(error, 200)}") from error

    def _error(self, path: str, found: str) -> OfficialError:
        return OfficialError(f"{self.folder / path} {found}; is it the file of another version?")


@lru_cache(16)
def _parsed(source: str) -> ast.Module:
    """Parse it once: every item of a benchmark asks for its prompts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the official source, such as an unknown escape
        return ast.parse(source)


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> set[str]:
    """The names that are assigned, in a tuple too."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = (name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _texts(root: ast.AST, without: set[int]) -> Iterator[str]:
    """Walk in the order of the source, without recursion: the file may be hostile."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in without:
            yield node.value
        waiting += reversed(list(ast.iter_child_nodes(node)))


def read_official(folder: Path | None, files: OfficialFiles) -> OfficialTexts:
    """Read the official files; raises ``OfficialError`` that says what to clone if there is no folder, or lacks one."""
    if folder is None:
        raise OfficialError(
            f"the prompts are the authors' own, and no folder of theirs is given; run: {files.how_to_get}"
        )
    if not folder.is_dir():
        raise OfficialError(f"{folder} is not a folder; run: {files.how_to_get}")
    contents, hashes = {}, {}
    for path in files.paths:
        content = _read(folder, path, files)
        hashes[path] = hashlib.sha256(content).hexdigest()
        try:
            contents[path] = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise OfficialError(f"{folder / path} is not UTF-8, at byte {error.start}; get it again") from error
    commit = commit_of(folder)
    changed = commit is not None and files.tried.get(commit, hashes) != hashes
    return OfficialTexts(
        folder=folder,
        contents=contents,
        hashes=hashes,
        commit=None if changed else commit,
        tried_commit=files.tried_commit(hashes),
    )


def _read(folder: Path, path: str, files: OfficialFiles) -> bytes:
    file = folder / path
    try:
        if not file.resolve(strict=True).is_relative_to(folder.resolve()):
            raise OfficialError(f"{file} is a link out of the folder; make it a file, or clone again")
        return read_limited(file, _MAX_BYTES)
    except FileNotFoundError as error:
        inner = [
            part for part in PurePosixPath(path).parents if (folder / PurePosixPath(path).relative_to(part)).exists()
        ]
        hint = "give the folder of the whole clone" if inner else f"run: {files.how_to_get}"
        raise OfficialError(f"there is no {path} in {folder}; {hint}") from error
    except (OSError, ValueError, RuntimeError) as error:  # a RuntimeError is a loop of links
        raise OfficialError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def filled(text: str, values: Mapping[str, str]) -> str:
    """Replace each placeholder by its value, one after the other; raises ``OfficialError`` if the text lacks one."""
    for placeholder in values:
        if placeholder not in text:
            raise OfficialError(f"a prompt lacks {placeholder}; is it from another version of the official files?")
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def formatted(text: str, values: Mapping[str, str]) -> str:
    """Fill in ``{name}`` as ``str.format`` does, but plain names only; raises ``OfficialError`` at anything else."""
    pieces: list[str] = []
    try:
        for literal, field, spec, conversion in string.Formatter().parse(text):
            pieces.append(literal)
            if field is not None:
                if spec or conversion or field not in values:
                    expected = ", ".join(f"{{{name}}}" for name in values)
                    raise OfficialError(f"a prompt has the field {{{one_line(field, 40)}}}; expected {expected} alone")
                pieces.append(values[field])
    except ValueError as error:
        raise OfficialError(f"a prompt has braces that cannot be filled in: {error}") from error
    return "".join(pieces)
