"""Finds edits that were made elsewhere: in a folder of a known layout, or in a list of JSON lines.

Links must not leave the folder.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import structs

from scheduler.base.text import counted, one_line
from scheduler.benchmark import Benchmark
from scheduler.benchmark.edits_elsewhere import EditsElsewhere, FoundImage, ImagesError, Places, composed, match
from scheduler.benchmark.edits_elsewhere_list import read_list
from scheduler.benchmark.layouts import LAYOUTS, FolderLayout, Names, UnsuitablePairError
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import PairError
from scheduler.benchmark.sources import image_path
from scheduler.benchmark.units import EditUnit
from workers.models.plugins import PluginError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of the accepted image formats. If an edit has several files, the first of these extensions counts."""

_PLAIN = "plain"


def find_edits(place: Path, benchmark: Benchmark, samples_per_pair: int, layout: str | None = None) -> EditsElsewhere:
    """Find the edits in this list, or in this folder of this ``layout``; without one, of one that suits the data.

    Raises ``ImagesError`` if the place is neither, or has no image of any pair.
    """
    try:
        if place.is_dir():
            return _in_folder(place, benchmark, samples_per_pair, _layouts(layout, benchmark.format))
        if not place.is_file():
            raise ImagesError(f"there is no folder and no file {one_line(place.absolute(), 400)}")
        if layout is not None:
            raise ImagesError(f"{one_line(place.absolute(), 400)} is a list, and only folders have a layout")
        images = read_list(place)
    except OSError as error:
        raise ImagesError(f"{one_line(place, 400)} can't be read: {error.strerror or error}") from error
    places = Places(benchmark, lambda pair: (pair.category, pair.pair_id))
    edits = match(str(place.absolute()), images, places, samples_per_pair)
    if benchmark.pairs and not (edits.images or edits.refused):
        raise _nothing(place, len(images), [f'{{"id": "{benchmark.pairs[0].key}", "image_path": "..."}}'])
    return edits


def _layouts(name: str | None, data_format: str) -> list[FolderLayout]:
    """Return the layout of this name, or those that are tried for data of this format."""
    if name is not None:
        try:
            return [LAYOUTS.get(name)]
        except KeyError:
            raise ImagesError(f"there is no layout {shown(name)}; known here: {', '.join(LAYOUTS.names())}") from None
        except PluginError as error:
            raise ImagesError(str(error)) from error
    return [*(layout for layout in LAYOUTS.all().values() if data_format in layout.formats), LAYOUTS.get(_PLAIN)]


def _in_folder(
    place: Path, benchmark: Benchmark, samples_per_pair: int, layouts: Sequence[FolderLayout]
) -> EditsElsewhere:
    """Find the edits by that one of the layouts in which the folder has some."""
    tried: dict[Places, EditsElsewhere] = {}
    unsuitable: list[str] = []
    count = 0
    for layout in layouts:
        try:
            places = Places(benchmark, layout.names)
        except UnsuitablePairError as error:
            unsuitable.append(f"the layout {layout.name} does not suit the data: {error}")
            continue
        images = list(_images(place, places, samples_per_pair, layout.source_suffix))
        edits = match(str(place.absolute()), images, places, samples_per_pair)
        tried[places] = structs.replace(
            edits, layout=layout.name, missing=dict(_missing(edits, places, samples_per_pair))
        )
        count = max(count, len(images))
    if not tried:
        raise ImagesError(*unsuitable)
    found = [edits for edits in tried.values() if edits.images or edits.refused]
    if len({frozenset(edits.images.items()) for edits in found}) > 1:
        names = " and ".join(str(edits.layout) for edits in found)
        raise ImagesError(f"{one_line(place.absolute(), 400)} has images of the layouts {names}: choose with --layout")
    if benchmark.pairs and not found:
        raise _nothing(place, count, [f"{place.joinpath(*next(iter(places.exact)))}.png" for places in tried])
    return found[0] if found else next(iter(tried.values()))


def _missing(edits: EditsElsewhere, places: Places, samples_per_pair: int) -> Iterator[tuple[EditUnit, str]]:
    for names, keys in places.exact.items():
        for sample in range(samples_per_pair):
            folder = f"{edits.place}-sample-{sample}/" if sample else ""
            for unit in (EditUnit(*key, sample) for key in keys):
                if unit not in edits.images and unit not in edits.refused:
                    yield unit, f"{folder}{'/'.join(names)}.png"


def _nothing(place: Path, count: int, expected: Iterable[str]) -> ImagesError:
    there = f"none of its {counted(count, 'image')} belongs to a pair that was chosen" if count else "it has no images"
    examples = " or ".join(one_line(example, 600) for example in expected)
    return ImagesError(f"{one_line(place.absolute(), 400)}: {there}; expected is, for instance, {examples}")


def _images(place: Path, places: Places, samples_per_pair: int, source_suffix: str) -> Iterator[FoundImage]:
    """Find images as a run leaves them: sample 0 in the folder, sample 1 beside it in ``...-sample-1``."""
    depth = len(next(iter(places.exact), ("", "")))
    # Whoever names a large folder by mistake must not wait until all of it has been looked into.
    entered = {composed(names)[0] for names in places.exact} if depth > 2 else None
    for sample in range(samples_per_pair):
        folder = Path(f"{place.absolute()}-sample-{sample}") if sample else place
        if not folder.is_dir():
            continue
        root = folder.resolve()
        for folders, name in _walk(str(root), (), depth, entered):
            stem = os.path.splitext(name)[0]  # noqa: PTH122 - a name
            if not (source_suffix and stem.endswith(source_suffix)):
                yield _file(root, folders, name, stem, sample)


def _walk(folder: str, folders: Names, depth: int, entered: Collection[str] | None) -> Iterator[tuple[Names, str]]:
    """Yield the images, each as the names of its folders and its own, down to the folders of this ``depth``. Only those
    outermost folders are ``entered``, if that is given.
    """
    for name in sorted(os.listdir(folder), key=_by_name_then_extension):  # noqa: PTH208 - names
        inner = os.path.join(folder, name)  # noqa: PTH118 - a name
        if (
            len(folders) + 1 < depth and Path(inner).is_dir()
        ):  # the method of a scandir entry raises for a loop of links
            if folders or entered is None or composed((name,))[0] in entered:
                yield from _walk(inner, (*folders, name), depth, entered)
        elif _extension(name) is not None:
            yield folders, name


def _file(root: Path, folders: Names, name: str, stem: str, sample: int) -> FoundImage:
    where, problem = "/".join((*folders, name)), None
    path = str(root / where)
    try:
        path = str(image_path(root, where))
    except PairError as error:
        problem = error.message
    return FoundImage((*folders, stem), sample, path, where, problem)


def _extension(name: str) -> int | None:
    """Return the index of the name's extension in ``EXTENSIONS``; None if it is no image."""
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name
    return EXTENSIONS.index(extension) if extension in EXTENSIONS else None


def _by_name_then_extension(name: str) -> tuple[str, int, str]:
    return os.path.splitext(name)[0], _extension(name) or 0, name  # noqa: PTH122 - a name
