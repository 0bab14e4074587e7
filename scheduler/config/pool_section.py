"""The section ``pool``: its own keys, and a section for each placer that declares some."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, create_model

from protocol.plan import MAX_WORKERS, port_range
from protocol.pool import PoolError, check_name
from scheduler.config.declared import DeclaredSection, section_of
from scheduler.config.problems import did_you_mean, listing, printable, shown
from scheduler.config.values import Allowed, Section
from workers.models.declaration import Conflict
from workers.models.plugins import PluginError
from workers.placers.declaration import PLACERS, PlacerType

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]{1,255}|\*|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\])(:(?P<port>[0-9]{1,5}))?")
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?")


def _transport(value: object) -> str:
    if value in ("ipc", "tcp"):
        return str(value)
    advice = ": write `transport: tcp`, and the address as `listen`" if str(value).startswith("tcp://") else ""
    raise ValueError(f"must be ipc or tcp, found {shown(value)}{advice}")


def _pool_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a name, found {shown(value)}")
    try:
        return check_name(value)
    except PoolError as error:
        raise ValueError(str(error)) from error


def _listen(value: object) -> str:
    found = _ADDRESS.fullmatch(value.removeprefix("tcp://")) if isinstance(value, str) else None
    if found is None or not 1 <= int(found["port"] or 1) <= 65535 or not _is_ipv6(found["ipv6"] or "::"):
        raise ValueError(f"must be HOST or HOST:PORT, such as 10.0.0.1:5600 or [fd00::1]:5600, found {shown(value)}")
    return found.group()


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _ports(value: object) -> str:
    try:
        port_range(text := str(value))
    except ValueError as error:
        raise ValueError(f"must be a range of ports, such as 5600-5700, found {shown(value)}") from error
    return text


_Count = Annotated[int, Field(ge=1, le=MAX_WORKERS)]


class PoolSection(Section):
    """The pool of workers. ``transport`` is None until a config is loaded as a whole."""

    purpose: ClassVar[str] = "The pool of workers that runs attach to."

    name: Annotated[str, PlainValidator(_pool_name), Allowed("name")] | None = Field(
        None, description="The pool's name; left out: the name of the config file, without its ending."
    )
    placer: str = Field("local", description="What starts the workers: one of `warmbench list placers`.")
    transport: Annotated[Literal["ipc", "tcp"], PlainValidator(_transport)] | None = Field(
        None,
        description="`ipc`: sockets in the pool's folder, for one user on one machine; `tcp`: encrypted, known keys "
        "only. Left out: `ipc` with the placer `local`, else `tcp`.",
    )
    listen: Annotated[str, PlainValidator(_listen), Allowed("`HOST`, `HOST:PORT`, `[IPV6]:PORT`")] | None = Field(
        None,
        description="The address on which a launcher with `transport: tcp` listens. Left out: 127.0.0.1 with the "
        "placer `local`, else all addresses of its machine; without a port, a free one.",
    )
    ports: Annotated[str, PlainValidator(_ports), Allowed("range, such as `5600-5700`")] | None = Field(
        None, description="With `transport: tcp`, the ports on which launcher and workers listen; left out: any."
    )
    orphan_seconds: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="With `transport: tcp`, how long workers and runs wait for a launcher that is not heard, or for a "
        "new one.",
    )
    editors: _Count | None = Field(
        None, description="How many editors, where workers are elsewhere; left out: one per `device_ids`, or one."
    )
    rewards: _Count | None = Field(
        None, description="How many rewards, where workers are elsewhere; left out: one per `device_ids`, or one."
    )
    load_in_parallel: bool = Field(
        False, description="Load all models at once; false: as many as host memory has room for."
    )

    @property
    def declaration(self) -> PlacerType | None:
        """What the placer declares; None if there is none of this name."""
        try:
            return PLACERS.get(self.placer)
        except (KeyError, PluginError):
            return None

    @property
    def elsewhere(self) -> bool:
        """Whether workers may be on other machines, whose devices are not known here."""
        return self.declaration is not None and self.declaration.elsewhere

    @property
    def placer_options(self) -> dict[str, Any]:
        """The keys of the placer's own section."""
        placer = self.declaration
        if placer is None or not placer.keys:
            return {}
        section = getattr(self, placer.name, None) or _placer_section(placer).model_validate({})
        options: dict[str, Any] = section.model_dump(mode="json")
        return options

    def with_transport(self) -> PoolSection:
        """Return the section with the transport that follows from the placer, if none is given."""
        if self.transport is not None:
            return self
        return self.model_copy(update={"transport": "tcp" if self.elsewhere else "ipc"})

    def conflicts(self) -> Iterator[Conflict]:
        try:
            placer = PLACERS.get(self.placer)
        except KeyError:
            message = f"there is no placer {shown(self.placer)}; there are {listing(list(PLACERS.names()))}"
            yield Conflict((("placer",),), message, did_you_mean(self.placer, PLACERS.names()))
            return
        except PluginError as error:
            yield Conflict((("placer",),), printable(str(error), 600))
            return
        if placer.elsewhere and self.transport == "ipc":
            message = f"must be tcp: the placer {placer.name} starts workers that ipc does not reach"
            yield Conflict((("transport",), ("placer",)), message, "leave it out")
        if self.listen is not None and self.with_transport().transport == "ipc" and not is_loopback(self.listen):
            message = f"{self.listen} can be reached by others, which needs keys"
            yield Conflict((("listen",), ("transport",)), message, "write `transport: tcp`")
        if not placer.elsewhere:
            for name in ("editors", "rewards"):
                if getattr(self, name) is not None:
                    message = f"is for workers elsewhere, but the placer is {placer.name}"
                    yield Conflict(((name,), ("placer",)), message, "name the devices of this machine as `device_ids`")
        for name in type(self).model_fields:
            if name in PoolSection.model_fields:
                continue
            if getattr(self, name) is not None and "placer" not in self.model_fields_set:
                message = "is given, but no placer"
                yield Conflict(((name,), ("placer",)), message, f"write `placer: {name}`")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it."""
    return _LOOPBACK.fullmatch(address) is not None


def placer_sections(*, builtin: bool = False) -> dict[str, type[DeclaredSection]]:
    """The section of each placer that has keys, with ``builtin`` without those of packages."""
    sections = {}
    for placer in PLACERS.all().values():
        if placer.keys and not (builtin and PLACERS.package(placer.name)):
            sections[placer.name] = _placer_section(placer)
    return sections


@cache
def _placer_section(placer: PlacerType) -> type[DeclaredSection]:
    return section_of(DeclaredSection, f"pool.{placer.name}", placer.keys, placer.rules)


def pool_section_for(keys: Collection[str]) -> type[PoolSection]:
    """The section for these keys: without those of placers if none is given, as they take longest to build."""
    return PoolSection if PoolSection.model_fields.keys() >= set(keys) else pool_section()


@cache
def pool_section(*, builtin: bool = False) -> type[PoolSection]:
    """The section with those of all placers; the same class each time."""
    fields: dict[str, Any] = {
        name: (kind | None, Field(default=None, description=f"What the placer `{name}` asks for."))
        for name, kind in placer_sections(builtin=builtin).items()
    }
    return create_model("PoolSection", __base__=PoolSection, **fields)
