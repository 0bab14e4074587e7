"""The places of a source image: a file of its own, a base64 string in a JSON file, or bytes within a file.

Each read compares the bytes with the hash of the image that was loaded: the edit of a file that was replaced since must
not have the old one's name. Whatever a read finds instead of that image, the file has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from protocol.codec import MAX_IMAGE_BYTES
from scheduler.benchmark.base64_text import decode_base64
from scheduler.benchmark.images import inspect_image
from scheduler.benchmark.names import shown
from scheduler.benchmark.pairs import ImageOpener, PairError

_CHUNK = 3 << 20


class FileSource(Struct, frozen=True):
    """An image file."""

    path: Path
    sha256: str
    size: tuple[int, int]

    @classmethod
    def inspect(cls, path: Path, *, thorough: bool) -> FileSource:
        """Inspect the image at this absolute path; raises ``PairError`` if it cannot be used."""
        data = _read_file(path)
        return cls(path, hashlib.sha256(data).hexdigest(), inspect_image(data, thorough=thorough))

    def read(self) -> bytes:
        return _unchanged(lambda: _read_file(self.path), self.sha256, self.path)


class EmbeddedSource(Struct, frozen=True):
    """A base64 string in a JSON file: ``length`` bytes from ``offset`` on, without the quotes."""

    path: Path
    offset: int
    length: int
    sha256: str
    size: tuple[int, int]

    @classmethod
    def inspect(cls, path: Path, offset: int, length: int, *, thorough: bool) -> EmbeddedSource:
        """Decode the string in the file at this absolute path, and inspect the image; raises ``PairError``."""
        if length > MAX_IMAGE_BYTES:
            raise PairError(
                "image_too_large", f"the image is a string of {length} bytes; at most {MAX_IMAGE_BYTES} are accepted"
            )
        data = decode_base64(_read_range(path, offset, length))
        size = inspect_image(data, thorough=thorough)
        return cls(path, offset, length, hashlib.sha256(data).hexdigest(), size)

    def read(self) -> bytes:
        return _unchanged(
            lambda: decode_base64(_read_range(self.path, self.offset, self.length)), self.sha256, self.path
        )


class PieceSource(Struct, frozen=True):
    """An encoded image within a file: ``length`` bytes from ``offset`` on."""

    path: Path
    offset: int
    length: int
    sha256: str
    size: tuple[int, int]

    @classmethod
    def inspect(cls, path: Path, offset: int, length: int, *, thorough: bool) -> PieceSource:
        """Inspect the image in the file at this absolute path; raises ``PairError``."""
        if length > MAX_IMAGE_BYTES:
            raise PairError("image_too_large", f"the image has {length} bytes; at most {MAX_IMAGE_BYTES} are accepted")
        data = b"".join(_read_range(path, offset, length))
        size = inspect_image(data, thorough=thorough)
        return cls(path, offset, length, hashlib.sha256(data).hexdigest(), size)

    def read(self) -> bytes:
        return _unchanged(lambda: b"".join(_read_range(self.path, self.offset, self.length)), self.sha256, self.path)


def image_path(root: Path, name: str) -> Path:
    """Return the path of the image, links resolved; raises ``PairError`` (``bad_image``) if it leads out of ``root``,
    a folder with links resolved, or to no file.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise PairError("bad_image", f"image {shown(name)} leads out of the data's folder")
    try:
        path = (root / relative).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL byte; RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise PairError("bad_image", f"image {shown(name)} cannot be found: {reason}") from error
    if not path.is_relative_to(root) and path.parent not in _blobs(root):
        raise PairError("bad_image", f"image {shown(name)} is a link that leads out of the data's folder")
    if not path.is_file():
        raise PairError("bad_image", f"image {shown(name)} is not a file")
    return path


def _blobs(root: Path) -> list[Path]:
    """Return where the files of a snapshot in the Hub's cache lie, which are links: ``snapshots/<revision>/...`` has
    them in ``blobs``.
    """
    return [above.parents[1] / "blobs" for above in (root, *root.parents) if above.parent.name == "snapshots"]


def image_file(folder: Path, name: str) -> ImageOpener:
    """Return the opener of an image that the data names by its path within the data's folder."""

    def open_image(*, thorough: bool) -> FileSource:
        return FileSource.inspect(image_path(folder.resolve(), name), thorough=thorough)

    return open_image


def file_piece(path: Path, offset: int, length: int) -> ImageOpener:
    """Return the opener of an encoded image within a file."""

    def open_image(*, thorough: bool) -> PieceSource:
        return PieceSource.inspect(path, offset, length, thorough=thorough)

    return open_image


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except OSError as error:
        raise PairError("bad_image", f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_IMAGE_BYTES:
        raise PairError("image_too_large", f"{path} has more than {MAX_IMAGE_BYTES} bytes")
    return data


def _read_range(path: Path, offset: int, length: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            while length and (chunk := file.read(min(length, _CHUNK))):
                length -= len(chunk)
                yield chunk
    except OSError as error:
        raise PairError("bad_image", f"{path} cannot be read: {error.strerror or error}") from error


def _unchanged(read: Callable[[], bytes], sha256: str, path: Path) -> bytes:
    """Return the image if it is the one that was loaded; else raise ``PairError`` (``source_changed``)."""
    try:
        data = read()
    except PairError as error:
        reason = error.message
    else:
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        reason = "this is another image"
    raise PairError("source_changed", f"{path} has changed since the benchmark was loaded: {reason}")
