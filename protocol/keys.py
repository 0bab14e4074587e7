"""Keys of CURVE, with which sockets that any machine can reach are encrypted and admit known peers only.

A key file holds secrets: it is made with mode 0600 and refused if others can read it. A pool's folder has its keys
under ``keys``: those of the launcher, of runs of the same user (``run.key``), of workers that join (``join.key``), and
``allowed``, the public keys that may connect, a line each.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

Key = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}\Z")]
"""A key in Z85."""
Use = Literal["run", "join"]
"""What a client's key is for: to use the pool, or to become one of its workers."""

DOMAIN = "warmbench"
"""The ZAP domain of all our sockets."""
OWN = "own"
"""The name of the keys of the pool's own user on its machine."""

_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[^\s]{1,100}")


class KeyFileError(Exception):
    """A key file cannot be used; the message names it and says what to do."""


class KeyPair(Struct, frozen=True, kw_only=True):
    """A public key and its secret."""

    public: Key
    secret: Key


class ClientKeys(Struct, frozen=True, kw_only=True):
    """What a key file holds: the client's pair, and the public key of the server that it connects to."""

    public: Key
    secret: Key
    server: Key
    use: Use = "run"


Secrets = TypeVar("Secrets", KeyPair, ClientKeys)


def new_pair() -> KeyPair:
    """Return a new pair."""
    import zmq  # noqa: PLC0415 - the help of commands needs the types of messages, and no sockets

    public, secret = zmq.curve_keypair()
    return KeyPair(public=public.decode(), secret=secret.decode())


def write_secret(path: Path, content: KeyPair | ClientKeys) -> None:
    """Write a new key file; raises ``FileExistsError`` rather than replacing one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")


def read_client_keys(path: Path) -> ClientKeys:
    """Read a key file. Raises ``KeyFileError``."""
    return _read(path, ClientKeys)


def _read(path: Path, kind: type[Secrets]) -> Secrets:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror or error}") from error
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError(f"the key file {path} is open to others (mode {mode:04o}): chmod 600 it")
    if status.st_uid not in (os.getuid(), 0):
        raise KeyFileError(f"the key file {path} belongs to user {status.st_uid}, not to you ({os.getuid()})")
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # The message of the error could quote a secret.
        raise KeyFileError(f"{path} is no key file: `warmbench workers keys` makes one") from None


class AllowedKey(NamedTuple):
    """A public key that may connect, what for, and whose it is."""

    use: Use
    public: str
    name: str


class PoolKeys:
    """The keys of one pool, in its folder. They outlive its launcher, so that workers find the next one."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the pool's own, closed to others. Nothing is made yet."""
        self._folder = folder / "keys"
        self._allowed = self._folder / "allowed"

    @property
    def run_key(self) -> Path:
        """The key file of runs of this user on this machine."""
        return self._folder / "run.key"

    @property
    def join_key(self) -> Path:
        """The key file of workers that the pool's own placer starts."""
        return self._folder / "join.key"

    def launcher_pair(self) -> KeyPair:
        """Return the launcher's pair; makes all of the pool's keys if there are none."""
        path = self._folder / "launcher.key"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            write_secret(path, new_pair())
        pair = _read(path, KeyPair)
        for own, use in ((self.run_key, "run"), (self.join_key, "join")):
            if not own.exists():
                self._make(own, use, OWN)  # type: ignore[arg-type]  # a literal, as the tuple has it
        return pair

    def hand_out(self, path: Path, use: Use, name: str) -> None:
        """Make a key file for a client with this name, and allow its key. Raises ``OSError``, ``KeyFileError``."""
        if not _NAME.fullmatch(name) or name == OWN:
            raise KeyFileError(f"{name!r:.200} can't name a key: 1 to 100 characters without spaces, not {OWN}")
        if any(entry.name == name for entry in self.entries()):
            raise KeyFileError(f"there is a key of {name} already: give another --name, or take that one back first")
        self._make(path, use, name)

    def _make(self, path: Path, use: Use, name: str) -> None:
        server = _read(self._folder / "launcher.key", KeyPair).public
        pair = new_pair()
        write_secret(path, ClientKeys(public=pair.public, secret=pair.secret, server=server, use=use))
        descriptor = os.open(self._allowed, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{use} {pair.public} {name}\n")

    def take_back(self, name: str) -> None:
        """Admit the key of this name no more. Raises ``OSError``, ``KeyFileError``."""
        entries = self.entries()
        kept = [entry for entry in entries if entry.name != name]
        if len(kept) == len(entries) or name == OWN:
            raise KeyFileError(f"there is no key of {name!r:.200}: `warmbench workers keys` lists them")
        temporary = self._allowed.with_name(f".allowed.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{entry.use} {entry.public} {entry.name}\n" for entry in kept)
        temporary.rename(self._allowed)

    def entries(self) -> list[AllowedKey]:
        """Return the keys that may connect."""
        try:
            text = self._allowed.read_text(encoding="utf-8")[:_MAX_BYTES]
        except (OSError, ValueError):
            return []
        keys = []
        for line in text.splitlines():
            match line.split():
                case ["run" | "join" as use, key, *names] if len(key) == 40:
                    keys.append(AllowedKey(use, key, " ".join(names)))
        return keys

    def allowed(self) -> dict[str, Use]:
        """Return what each public key that may connect is for."""
        return {entry.public: entry.use for entry in self.entries()}

    def changed(self) -> tuple[int, int, int]:
        """Return what differs once the allowed keys have changed."""
        try:
            status = self._allowed.stat()
        except OSError:
            return 0, 0, 0
        return status.st_mtime_ns, status.st_size, status.st_ino
