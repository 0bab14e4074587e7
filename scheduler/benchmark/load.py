"""Loads a benchmark: detects the format of a path, reads it once, and turns what is wrong into one exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from scheduler.benchmark.collect import Collector
from scheduler.benchmark.formats.declaration import FORMATS, Category, FieldMap, Format
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import Benchmark, DataError, UnknownPartError
from workers.models.plugins import PluginError


def load_benchmark(
    path: Path,
    *,
    format_name: str | None = None,
    fields: FieldMap | None = None,
    categories: Sequence[str] | None = None,
    language: str | None = None,
    subset: str | None = None,
    limit: int | None = None,
    thorough: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Benchmark:
    """Load the pairs of a file or folder, of this format and these categories only if they are given.

    ``fields`` are the names of the fields in data of a general format. ``language`` and ``subset`` are one of those
    that the format has: items in another language, or outside of the subset, are not selected; of instructions in
    several languages the one in ``language`` counts, else the first.

    ``limit`` is the most items of each category, in the data's order, bad ones included; at least 1. ``progress`` is
    called after each item with the number of items read. ``thorough`` decodes every image whole; otherwise an image
    that is broken behind its header (and, in a PNG, with correct checksums) is found only when it is decoded.

    Raises ``DataError``, which names the file, if the data as a whole cannot be used, and ``UnknownPartError`` for a
    language or a subset that the format does not have.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; expected at least 1")
    collector = Collector(categories=categories, language=language, subset=subset, limit=limit, thorough=thorough)
    try:
        _check_place(path)
        chosen = _detect(path, fields, collector.warnings) if format_name is None else format_named(format_name)
        _check_packages(chosen)
        if unknown := dict(_unknown_parts(chosen, fields, language, subset)):
            raise UnknownPartError(chosen.name, unknown)
        _read(chosen, path, fields, collector, progress)
        return collector.finish(str(path), chosen.name)
    except UnknownPartError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def format_named(name: str) -> Format:
    """Return the format of this name; raises ``DataError`` if there is none, or if its package is broken."""
    try:
        return FORMATS.get(name)
    except KeyError:
        known = ", ".join(FORMATS.names())
        raise DataError(f"there is no format {shown(name)}; known here: {known}") from None
    except PluginError as error:
        raise DataError(str(error)) from error


def _check_packages(chosen: Format) -> None:
    """Check that they are installed: without them, a benchmark's own table is taken for one of no benchmark."""
    if missing := [package for package in chosen.packages if find_spec(package) is None]:
        from scheduler.config.checks.packages import install_hint

        hint = install_hint(chosen.packages)
        raise DataError(f"reading it needs {', '.join(missing)}, which is not installed: {hint}")


def _unknown_parts(
    chosen: Format, fields: FieldMap | None, language: str | None, subset: str | None
) -> Iterator[tuple[str, str]]:
    """Yield each key of a config that asks for what the format does not have, with the reason."""
    data = f"data of the format {chosen.name}"
    if fields is not None and chosen.read_fields is None:
        yield "fields", f"{data} has fields of its own; leave this out"
    for key, asked, known in (("language", language, chosen.languages), ("subset", subset, chosen.subsets)):
        if asked is not None and asked not in known:
            hint = f"it has {', '.join(known)}" if known else "leave it out"
            yield key, f"{data} has no {key} {shown(asked)}; {hint}"


def _check_place(path: Path) -> None:
    try:
        resolved = path.resolve(strict=True)
    except FileNotFoundError as error:
        raise DataError("there is no such file or folder") from error
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL byte; RuntimeError: a loop of links
        raise DataError(f"cannot be read: {error}") from error
    if not (resolved.is_file() or resolved.is_dir()):
        raise DataError("this is neither a file nor a folder")


def _detect(path: Path, fields: FieldMap | None, warnings: list[str]) -> Format:
    """Return the one format that recognizes the path. What none recognizes is JSON, with ``fields`` JSON Lines or an
    image folder; raises ``DataError`` for a folder without ``fields``.
    """
    detected: list[Format] = []
    for known in FORMATS.all().values():
        try:
            if fields is not None and known.read_fields is None:
                continue
            if known.detect is not None and known.detect(path):
                detected.append(known)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and the data may be none of its own
            warnings.append(_failure(known, "failed to look at the data", error))
    detected = [known for known in detected if known.read_fields is None] or detected
    if len(detected) > 1:
        names = " and ".join(known.name for known in detected)
        raise DataError(f"it may be of the format {names}; set benchmark.format to one of them")
    if detected:
        return detected[0]
    if not path.is_dir():
        return FORMATS.get("json" if fields is None else "jsonl")
    if fields is None:
        raise DataError(
            "no format recognizes what is in this folder: `warmbench list formats` says what each needs, and with "
            "benchmark.format set to one of them it says what is missing"
        )
    return FORMATS.get("imagefolder")


def _read(
    chosen: Format, path: Path, fields: FieldMap | None, collector: Collector, progress: Callable[[int], None] | None
) -> None:
    read = chosen.read if chosen.read_fields is None else partial(chosen.read_fields, fields=fields or FieldMap())
    try:
        for entry in read(path):
            if isinstance(entry, Category):
                collector.open_category(entry)
            else:
                collector.take(entry)
                if progress is not None:
                    progress(collector.items)
    except (DataError, OSError):
        raise
    except Exception as error:
        if FORMATS.package(chosen.name) is None:
            raise
        raise DataError(_failure(chosen, "failed", error)) from error


def _failure(plugin: Format, what: str, error: Exception) -> str:
    package = FORMATS.package(plugin.name)
    return f"the format {plugin.name} of the package {package} {what}: {type(error).__name__}: {error}"
