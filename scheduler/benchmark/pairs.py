"""A loaded benchmark: its pairs, its bad pairs, and warnings.

No image is kept in memory: a pair has the place of its source image and reads it when needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from msgspec import Struct

from scheduler.base.shard import Shard

BadKind = Literal[
    "no_instruction", "bad_base64", "bad_image", "image_too_large", "bad_field", "bad_id", "duplicate_id",
    "source_changed",
]  # fmt: skip


class DataError(Exception):
    """The data as a whole cannot be used: the file is missing, is no JSON, has another shape, lacks a category."""


class UnknownPartError(DataError):
    """A language, a subset or fields were asked for that the data's format, ``format_name``, does not have.

    ``problems`` has a message for each of these keys of a config.
    """

    def __init__(self, format_name: str, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.format_name = format_name
        self.problems = problems


class PairError(Exception):
    """One pair cannot be used; the reason has a kind."""

    def __init__(self, kind: BadKind, message: str) -> None:
        super().__init__(message)
        self.kind: BadKind = kind
        self.message = message


class SourceImage(Protocol):
    """A source image. ``size`` is its upright ``(width, height)`` in pixels; ``sha256`` is of its bytes."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def sha256(self) -> str: ...

    def read(self) -> bytes:
        """Return the encoded image; raises ``PairError`` (``source_changed``) if it is no longer what was loaded."""


class ImageOpener(Protocol):
    """Looks at an image of the data, and decodes it whole if ``thorough``. Raises ``PairError`` if it is bad."""

    def __call__(self, *, thorough: bool) -> SourceImage: ...


class Details(Struct, frozen=True):
    """What only some benchmarks have of an item.

    ``images`` are those beside the first source, by name: ``source_2``, ``source_3``, ..., ``reference``,
    ``reference_2``, ..., ``ground_truth``, ``mask``. ``language`` is that of the instruction (``en``, ``cn``), ``task``
    the kind of edit, ``subsets`` are those that the item belongs to. ``facts`` are further values that a protocol
    needs, as JSON has them, by the names of the benchmark's own fields.
    """

    images: Mapping[str, SourceImage] = {}
    language: str | None = None
    task: str | None = None
    subsets: tuple[str, ...] = ()
    facts: Mapping[str, Any] = {}


NO_DETAILS = Details()


class Pair(Struct, frozen=True):
    """One item to edit and score. ``index`` counts all items of the data from 0, bad and unselected ones too.

    ``source`` is the first source image, ``reference`` a text that says what the edit should show.
    """

    index: int
    category: str
    pair_id: str
    instruction: str
    description: str
    source: SourceImage
    sha256: str
    reference: str | None = None
    details: Details = NO_DETAILS

    @property
    def key(self) -> str:
        """``category/pair_id``, unique within a benchmark, bad pairs included."""
        return f"{self.category}/{self.pair_id}"

    @property
    def images(self) -> dict[str, SourceImage]:
        """All images of the pair by name, ``source`` first."""
        return {"source": self.source, **self.details.images}

    @property
    def sources(self) -> list[SourceImage]:
        """The source images in order."""
        return [image for name, image in self.images.items() if name.partition("_")[0] == "source"]


@dataclass(frozen=True, slots=True)
class BadPair:
    """An item that cannot be used. Category and id are stand-ins (``#17``, ``p1#2``) where the data's cannot be used.

    ``source`` is its image, if it is good, to be shown.
    """

    index: int
    category: str
    pair_id: str
    kind: BadKind
    message: str
    instruction: str | None = None
    description: str | None = None
    source: SourceImage | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> str:
        """``category/pair_id``, unique within a benchmark, good pairs included."""
        return f"{self.category}/{self.pair_id}"


class PairsByKey(Mapping[str, Pair]):
    """The pairs by key. Keys are not stored: they are joined and split when needed."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._categories: dict[str, dict[str, Pair]] = {}
        for pair in pairs:
            self._categories.setdefault(pair.category, {})[pair.pair_id] = pair

    def __getitem__(self, key: str) -> Pair:
        # Neither part can hold a slash.
        category, _, pair_id = key.partition("/")
        return self._categories[category][pair_id]

    def __iter__(self) -> Iterator[str]:
        return (pair.key for pairs in self._categories.values() for pair in pairs.values())

    def __len__(self) -> int:
        return sum(map(len, self._categories.values()))


@dataclass(frozen=True)
class Benchmark:
    """All selected items in the data's order; merging ``pairs`` and ``bad`` by ``index`` gives it back.

    ``categories`` are those with a selected item, in the order of their first one. ``sha256`` covers all that was
    loaded: names, texts, hashes of images, and which items are bad. ``by_key`` has the good pairs. ``columns`` says for
    each name of ``Details.facts`` how many of the file's ``items_in_file`` items have it, unselected and bad ones too;
    ``kinds`` which kinds of values they have there: ``null``, ``nan``, ``boolean``, ``number``, ``text``, ``other``.
    With a ``shard`` only its part of the selected items is there, and ``categories`` are those of this part.
    """

    path: str
    format: str
    categories: tuple[str, ...]
    pairs: tuple[Pair, ...]
    bad: tuple[BadPair, ...]
    warnings: tuple[str, ...]
    sha256: str
    columns: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    items_in_file: int = 0
    shard: Shard | None = None
    by_key: Mapping[str, Pair] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", PairsByKey(self.pairs))

    def source_images(self) -> Callable[[str], SourceImage | None]:
        """Return a function from the key of a pair, good or bad, to its source image; None if it has no good one."""
        bad = {pair.key: pair.source for pair in self.bad if pair.source is not None}

        def find(key: str) -> SourceImage | None:
            pair = self.by_key.get(key)
            return bad.get(key) if pair is None else pair.source

        return find

    def images_by_name(self) -> Callable[[str, str], SourceImage | None]:
        """Return a function from the key of a pair and the name of one of its images to that image, if it is good."""
        source_of = self.source_images()

        def find(key: str, name: str) -> SourceImage | None:
            if name == "source":
                return source_of(key)
            pair = self.by_key.get(key)
            return None if pair is None else pair.details.images.get(name)

        return find

    @property
    def items(self) -> tuple[Pair | BadPair, ...]:
        """Good and bad pairs in the data's order."""
        return tuple(sorted((*self.pairs, *self.bad), key=lambda item: item.index))
