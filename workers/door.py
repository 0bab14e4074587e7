"""The launcher's sockets, where runs and workers come in: files on one machine, else one TCP port with keys."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

import zmq

from protocol.gate import Gate
from protocol.joined import Members, read_members, remove_members, write_members
from protocol.keys import KeyPair, PoolKeys, Use
from protocol.plan import PoolPlan, port_range
from protocol.sockets import Listener, bracketed, ipc_endpoint
from workers.entrance import Entrance, LocalEntrance, RemoteEntrance
from workers.life_socket import Introduction, LifeSocket, read_introduction
from workers.strangers import Strangers


class Door(ABC):
    """``entrance`` is what workers are told."""

    listener: Listener
    entrance: Entrance

    @abstractmethod
    def register(self, poller: zmq.Poller) -> None:
        """Wake the loop for introductions."""

    def introductions(
        self,
        ready: Mapping[object, int],  # noqa: ARG002 - only files have them
        strangers: Strangers,  # noqa: ARG002
    ) -> Iterator[tuple[Introduction, socket.socket]]:
        """Yield the workers on this machine that have introduced themselves; the caller owns the connections."""
        return iter(())

    def use_of(self, key: str | None) -> Use | None:  # noqa: ARG002 - only TCP has keys
        """Return what the holder of this key may do; None if the key has been taken back."""
        return "run"

    def refresh(self) -> bool:
        """Keep the door open. Read the allowed keys again if they have changed; return whether they have."""
        return False

    def members(self) -> Members:
        """Return the workers of an earlier launcher, which may still be there."""
        return Members()

    def note(self, epoch: int, incarnations: Mapping[str, str]) -> None:  # noqa: B027 - only TCP has a next launcher
        """Write down the workers, for the next launcher."""

    @abstractmethod
    def close(self) -> None:
        """Close the sockets and remove their files."""


def open_door(plan: PoolPlan, folder: Path, context: zmq.Context[zmq.Socket[bytes]], life: str) -> Door:
    """Bind the sockets of this life of the launcher. Raises ``ZMQError``, ``ValueError``."""
    return RemoteDoor(plan, folder, context) if plan.transport == "tcp" else LocalDoor(folder, context, life)


class LocalDoor(Door):
    """Files in the pool's folder, which is closed to others."""

    def __init__(self, folder: Path, context: zmq.Context[zmq.Socket[bytes]], life: str) -> None:
        self._path = folder / f"pool-{life}.sock"
        self.listener = Listener(context, ipc_endpoint(self._path))
        self._life_socket = LifeSocket(folder / f"life-{life}.sock")
        self.entrance = LocalEntrance(folder, self._life_socket.path)

    def register(self, poller: zmq.Poller) -> None:
        self._life_socket.register(poller)

    def introductions(
        self, ready: Mapping[object, int], strangers: Strangers
    ) -> Iterator[tuple[Introduction, socket.socket]]:
        for connection in self._life_socket.readable(ready):
            try:
                introduction = read_introduction(connection)
            except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
                strangers.record_drop("closed a connection that is not a worker's", repr(error)[:200])
                connection.close()
            else:
                yield introduction, connection

    def close(self) -> None:
        self.listener.close()
        self._life_socket.close()
        self._path.unlink(missing_ok=True)


class RemoteDoor(Door):
    """One TCP port for runs and workers, which admits known keys only."""

    def __init__(self, plan: PoolPlan, folder: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._keys = PoolKeys(folder)
        self._folder = folder
        pair = self._keys.launcher_pair()
        self._changed = self._keys.changed()
        self._uses = self._keys.allowed()
        self._gate = Gate(context, self._uses, self._is_new)
        host, port = _address(plan.listen)
        try:
            self.listener = self._bind(context, host, port or self.members().port, plan, pair)
        except zmq.ZMQError as error:
            self._gate.close()
            where = f"{host}:{port}" if port else f"{host}, ports {plan.ports or 'any'}"
            raise ValueError(f"can't listen on {where} (pool.listen, pool.ports): {error.strerror}") from error
        self._port = int(self.listener.endpoint.rpartition(":")[2])
        self.entrance = RemoteEntrance(
            f"tcp://{_advertised(host)}:{self._port}", self._keys.join_key, pair, plan.ports, self._runs()
        )

    @staticmethod
    def _bind(
        context: zmq.Context[zmq.Socket[bytes]], host: str, port: int | None, plan: PoolPlan, pair: KeyPair
    ) -> Listener:
        """Bind to this port, else, if the plan names none, to any that it allows."""
        ports = port_range(plan.ports) if plan.ports else None
        if port is not None:
            try:
                return Listener(context, f"tcp://{host}:{port}", pair)
            except zmq.ZMQError:
                if _address(plan.listen)[1] is not None:
                    raise
        return Listener(context, f"tcp://{host}:*", pair, ports)

    def _is_new(self, key: str) -> bool:
        """Whether this key has been allowed since ``refresh`` read them: whoever makes a key uses it at once."""
        return self._keys.changed() != self._changed and key in self._keys.allowed()

    def _runs(self) -> list[str]:
        return sorted(key for key, use in self._uses.items() if use == "run")

    def register(self, poller: zmq.Poller) -> None:
        """Workers come through the listener."""

    def use_of(self, key: str | None) -> Use | None:
        return self._uses.get(key or "")

    def refresh(self) -> bool:
        self._gate.keep_open()
        changed = self._keys.changed()
        if changed == self._changed:
            return False
        self._uses = self._keys.allowed()
        self._gate.allowed = frozenset(self._uses)
        self.entrance.allowed = self._runs()
        self._changed = changed  # last: until then the gate's thread takes what is in the file
        return True

    def members(self) -> Members:
        return read_members(self._folder)

    def note(self, epoch: int, incarnations: Mapping[str, str]) -> None:
        with contextlib.suppress(OSError):  # a full disk costs the adoption of workers, no more
            write_members(self._folder, Members(epoch=epoch, port=self._port, incarnations=dict(incarnations)))

    def close(self) -> None:
        remove_members(self._folder)
        self.listener.close()
        self._gate.close()


def _address(listen: str | None) -> tuple[str, int | None]:
    """The host and the port of ``HOST`` or ``HOST:PORT``, where an address of IPv6 is in brackets. ZeroMQ binds to
    addresses, and to names of interfaces.
    """
    text = (listen or "127.0.0.1").removeprefix("tcp://")
    if text.startswith("["):
        host, _, port = text.partition("]")
        return f"{host}]", int(port[1:]) if port else None
    host, _, port = text.partition(":")
    with contextlib.suppress(OSError):
        host = socket.gethostbyname(host) if host != "*" else "0.0.0.0"  # noqa: S104 - only known keys are admitted
    return host, int(port) if port else None


def _advertised(host: str) -> str:
    """The address at which others reach a socket that is bound to this one."""
    if host not in ("0.0.0.0", "[::]"):  # noqa: S104 - compared with, not bound to
        return host
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if host == "[::]" else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))  # sends nothing: which address leads out of this machine?
            found: str = probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
    return bracketed(found)
