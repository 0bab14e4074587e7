"""Messages that go in both directions, or to both workers and launchers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from protocol.messages.parts import Count, Id, Message, RunMessage, Sha256, Text, WorkerState


class Hello(Message, frozen=True, kw_only=True):
    """A client's first message to a worker or launcher. It may be repeated, and is answered the same way each time.

    Both sides send a heartbeat every ``heartbeat_seconds``; a run that is silent for ``dead_after_seconds`` is dropped
    and has to say Hello again.
    """

    run: Id
    incarnation: Id
    protocol_version: Count
    version: Annotated[str, Meta(max_length=100)]
    heartbeat_seconds: Annotated[float, Meta(gt=0, le=86400)] = 1.0
    dead_after_seconds: Annotated[float, Meta(gt=0, le=86400)] = 10.0
    fingerprint: Sha256 | None = None


class Heartbeat(RunMessage, frozen=True, kw_only=True):
    """The sender is alive. A worker adds its state."""

    state: WorkerState | None = None


class Goodbye(RunMessage, frozen=True, kw_only=True):
    """The run leaves the worker or the pool, or a worker or launcher ends."""

    reason: Text = ""
