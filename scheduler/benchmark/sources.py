"""The two places where a source image lies: a file of its own, or a base64 string within a JSON file.

Both are read anew each time and compared with the hash that was taken when the benchmark was loaded: a file that was
replaced meanwhile must not be edited under the old one's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protocol.codec import MAX_IMAGE_BYTES
from scheduler.benchmark.base64_text import decode_base64
from scheduler.benchmark.images import inspect_image
from scheduler.benchmark.model import PairError

_CHUNK = 3 << 20


@dataclass(frozen=True, slots=True)
class FileSource:
    """An image file."""

    path: Path
    sha256: str
    size: tuple[int, int]

    @classmethod
    def inspect(cls, path: Path, *, thorough: bool) -> FileSource:
        """Look at the image at this absolute path, and remember it.

        Raises:
            PairError: it cannot be read, is no sound image, or too large.
        """
        data = _read_file(path)
        return cls(path, hashlib.sha256(data).hexdigest(), inspect_image(data, thorough=thorough))

    def read(self) -> bytes:
        return _unchanged(_read_file(self.path), self.sha256, self.path)


@dataclass(frozen=True, slots=True)
class EmbeddedSource:
    """A base64 string in a JSON file: ``length`` bytes from ``offset`` on, without the quotes."""

    path: Path
    offset: int
    length: int
    sha256: str
    size: tuple[int, int]

    @classmethod
    def inspect(cls, path: Path, offset: int, length: int, *, thorough: bool) -> EmbeddedSource:
        """Decode the string in the file at this absolute path, look at the image, and remember where it lies.

        Raises:
            PairError: it is no base64, no sound image, or too large.
        """
        if length > MAX_IMAGE_BYTES:
            raise PairError(
                "image_too_large", f"the image is a string of {length} bytes; at most {MAX_IMAGE_BYTES} are accepted"
            )
        data = decode_base64(_read_range(path, offset, length))
        size = inspect_image(data, thorough=thorough)
        return cls(path, offset, length, hashlib.sha256(data).hexdigest(), size)

    def read(self) -> bytes:
        return _unchanged(decode_base64(_read_range(self.path, self.offset, self.length)), self.sha256, self.path)


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


def _unchanged(data: bytes, sha256: str, path: Path) -> bytes:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PairError("bad_image", f"{path} has changed since the benchmark was loaded; start the run again")
    return data
