"""A record: the fields of one item, in whatever file they lie. A field is read when it is asked for."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from scheduler.benchmark.names import MAX_NAME, checked_name, checked_text, shown
from scheduler.benchmark.pairs import ImageOpener, PairError, SourceImage
from scheduler.benchmark.sources import FileSource, image_path

T = TypeVar("T")
Reads = ParamSpec("Reads")


def value_of(read: Callable[Reads, T], *args: Reads.args, **kwargs: Reads.kwargs) -> T | PairError:
    """Return what ``read`` returns, or the ``PairError`` that it raises."""
    try:
        return read(*args, **kwargs)
    except PairError as error:
        return error


class Record(abc.ABC):
    """The fields of one item. ``problem`` is one of the item as a whole."""

    problem: PairError | None = None

    @property
    @abc.abstractmethod
    def names(self) -> Collection[str]:
        """The names of its fields, those that are null too."""

    @abc.abstractmethod
    def value(self, name: str) -> Any:
        """Return the field's value as JSON has it, None if it is not there; raises ``PairError`` (``bad_field``)."""

    @abc.abstractmethod
    def is_null(self, name: str) -> bool:
        """Whether the field is not there, or null."""

    def own_name(self) -> str | None:
        """Return the name that the record has beside its fields, if it has one; raises ``PairError`` (``bad_id``)."""
        return None

    def embedded_image(self, name: str) -> ImageOpener | None:  # noqa: ARG002 - of records that can hold one
        """Return the opener of an image whose bytes are in the record, None if the field is none such."""
        return None

    def image_name(self, name: str) -> str | None:
        """Return the path of an image that the record names, or None; raises ``PairError`` (``bad_field``)."""
        return self.text(name)

    def first(self, *names: str) -> str:
        """Return the first of these names whose field is not null, else the first name."""
        return next((name for name in names if not self.is_null(name)), names[0])

    def text(self, *names: str) -> str | None:
        """Return the text of the first of these fields that is there; raises ``PairError`` (``bad_field``)."""
        name = self.first(*names)
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise PairError("bad_field", f"{name} is {_kind(value)}; expected text")
        return checked_text(value, name)

    def name(self, *names: str) -> str:
        """Return an id or category name: a text, or an integer in decimal. Raises ``PairError`` (``bad_id``)."""
        name = self.first(*names)
        try:
            value = self.value(name)
        except PairError as error:
            raise PairError("bad_id", error.message) from error
        if value is None:
            raise PairError("bad_id", f"{' or '.join(names)} is missing")
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**MAX_NAME:
            value = str(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            raise PairError("bad_id", f"{name} is a number, but no integer of at most {MAX_NAME} digits")
        elif not isinstance(value, str):
            raise PairError("bad_id", f"{name} is {_kind(value)}; expected text or an integer")
        return checked_name(value, name)

    def instruction(self, *names: str) -> str:
        """Return the instruction; raises ``PairError`` (``no_instruction`` if it is missing or empty)."""
        text = self.text(*names)
        if text is None or not text.strip():
            raise PairError("no_instruction", f"{self.first(*names)} is {'missing' if text is None else 'empty'}")
        return text

    def image(self, folders: Sequence[Path], *names: str) -> ImageOpener:
        """Return the opener of an image that the record holds, or names by its path within one of the folders."""

        def open_image(*, thorough: bool) -> SourceImage:
            name = self.first(*names)
            embedded = self.embedded_image(name)
            if embedded is not None:
                return embedded(thorough=thorough)
            text = self.image_name(name)
            if text is None:
                raise PairError("bad_field", f"{name} is missing")
            return file_within(folders, text)(thorough=thorough)

        return open_image

    def images(self, folders: Sequence[Path], name: str) -> list[ImageOpener]:
        """Return the openers of the field's images: of a list, or of one; none if it is null.

        Raises ``PairError`` (``bad_field``) for a list of anything else.
        """
        if self.is_null(name):
            return []
        if self.embedded_image(name) is None:
            value = self.value(name)
            if isinstance(value, list):
                if not all(isinstance(entry, str) for entry in value):
                    raise PairError("bad_field", f"{name} is a list; expected one of texts or of images")
                return [file_within(folders, entry) for entry in value]
        return [self.image(folders, name)]

    def facts(self, known: Collection[str], besides: Collection[str] = ()) -> dict[str, Any]:
        """Return the values of all fields but ``besides``; one that is not ``known`` is left out if it is unusable."""
        values = {name: value_of(self.value, name) for name in self.names if name not in besides}
        return {name: value for name, value in values.items() if name in known or not isinstance(value, PairError)}


def file_within(folders: Sequence[Path], name: str) -> ImageOpener:
    """Return the opener of an image file that the data names by its path, in the first of these folders that has it."""

    def open_image(*, thorough: bool) -> FileSource:
        problem: PairError | None = None
        for folder in folders:
            try:
                path = image_path(folder.resolve(), name)
            except PairError as error:
                problem = problem or error
            else:
                return FileSource.inspect(path, thorough=thorough)
        if problem is None:
            raise PairError("bad_image", f"image {shown(name)} cannot be found")
        places = f" (looked for in {', '.join(map(str, folders))})" if len(folders) > 1 else ""
        raise PairError(problem.kind, problem.message + places)

    return open_image


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"a JSON {str(value).lower()}"
    kinds = {int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return f"a JSON {kinds[type(value)]}" if type(value) in kinds else f"of the type {type(value).__name__}"
