"""What a folder layout declares, what it sees of a pair, and the table of layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from scheduler.base.files import MAX_NAME_BYTES
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import Pair
from workers.models.plugins import Registry

Names = tuple[str, ...]
"""Where an edit lies in its folder: the folders from the outermost on, then the file without its extension."""


class UnsuitablePairError(Exception):
    """The pair has no place in this layout; the message says why."""


class PlacedPair(Struct, frozen=True):
    """A pair as a layout sees it: nothing that is not in the ledger too."""

    category: str
    pair_id: str
    language: str | None = None
    task: str | None = None
    facts: Mapping[str, Any] = {}

    @classmethod
    def of(cls, pair: Pair) -> PlacedPair:
        """The pair of a benchmark."""
        details = pair.details
        return cls(pair.category, pair.pair_id, details.language, details.task, details.facts)

    def needed_language(self) -> str:
        """The language of the instruction; raises ``UnsuitablePairError`` if the data does not say it."""
        if self.language is None:
            raise UnsuitablePairError(
                "its language is not known, and edits of different languages have different paths"
            )
        return self.language


class FolderLayout(Struct, frozen=True):
    """One benchmark's way of naming the edits of one model in one folder.

    ``place`` gives the names of a pair's edit; raises ``UnsuitablePairError``. ``extensions`` are those that the
    authors' script reads, the usual one first. ``source_suffix``: the script wants the source image beside each edit,
    as a PNG with this end of its name. ``formats``: edits for data of these formats are looked for in this layout
    without being told.
    """

    name: str
    meaning: str
    place: Callable[[PlacedPair], Names]
    formats: tuple[str, ...] = ()
    extensions: tuple[str, ...] = (".png",)
    source_suffix: str = ""
    aliases: tuple[str, ...] = ()

    def names(self, pair: PlacedPair) -> Names:
        """Return the names of the pair's edit, each of which can be a file name; raises ``UnsuitablePairError``."""
        names = self.place(pair)
        for name in names:
            if not _can_be_file(name):
                raise UnsuitablePairError(f"{shown(name)} cannot be a file name")
        return names


def _can_be_file(name: str) -> bool:
    """Names from data are checked when they are loaded; those of a ledger may be anyone's."""
    try:
        return name not in ("", ".", "..") and not set(name) & set("/\\\0") and len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


LAYOUTS = Registry(
    "warmbench.layouts",
    FolderLayout,
    {
        "plain": "scheduler.benchmark.layouts.plain:LAYOUT",
        "gedit": "scheduler.benchmark.layouts.gedit:LAYOUT",
        "imgedit": "scheduler.benchmark.layouts.imgedit:LAYOUT",
        "risebench": "scheduler.benchmark.layouts.risebench:LAYOUT",
        "kris": "scheduler.benchmark.layouts.kris:LAYOUT",
        "unicbench": "scheduler.benchmark.layouts.unicbench:LAYOUT",
    },
)
"""How edits may be named in a folder: one file per layout. A plug-in package brings more as ``warmbench.layouts``."""
