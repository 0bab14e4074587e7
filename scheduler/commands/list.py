"""``warmbench list``: what can be used, built in or brought by plug-ins."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from scheduler.base.text import one_line
from scheduler.benchmark.formats import FORMATS
from scheduler.benchmark.layouts import LAYOUTS
from scheduler.protocols.declaration import PROTOCOLS, ProtocolType
from scheduler.trackers.declaration import TRACKERS
from workers.models.declaration import ModelType
from workers.models.plugins import PluginError, Registry
from workers.models.registry import EDITORS, REWARDS
from workers.placers.declaration import PLACERS

KINDS: dict[str, Registry[Any]] = {
    "formats": FORMATS,
    "protocols": PROTOCOLS,
    "layouts": LAYOUTS,
    "editors": EDITORS,
    "rewards": REWARDS,
    "placers": PLACERS,
    "trackers": TRACKERS,
}
_DEVICES = {"gpu": ["a GPU"], "any": ["a GPU or the CPU"], "none": []}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Shows what can be used, one line each. A plug-in that is broken is shown with its error."
    parser.add_argument("kind", nargs="?", choices=KINDS, metavar="KIND", help=f"only one kind: {', '.join(KINDS)}")


def execute(options: argparse.Namespace) -> int:
    if options.kind is not None:
        print(*_lines(KINDS[options.kind]), sep="\n", flush=True)
        return 0
    for kind, registry in KINDS.items():
        print(f"{kind}:", *(f"  {line}" for line in _lines(registry)), sep="\n", flush=True)
    return 0


def _lines(registry: Registry[Any]) -> Iterator[str]:
    from scheduler.config.models import FAMILIES  # imports pydantic, and --help does not need it

    for name in registry.names():
        package = registry.package(name)
        try:
            declared = registry.get(name)
            for family in FAMILIES.values():
                if family.registry is registry:
                    family.named(name)
        except PluginError as error:
            yield f"{one_line(name, 60)}: broken: {one_line(error, 600)}"
            continue
        aliases = f" ({', '.join(declared.aliases)})" if declared.aliases else ""
        needs = _DEVICES[declared.needs].copy() if isinstance(declared, ModelType) else []
        if isinstance(declared, ProtocolType):
            needs.append(f"data of the format {' or '.join(declared.formats)}, {declared.official.repository}")
        needs += [f"{wanted} {version}".strip() for wanted, version in getattr(declared, "packages", {}).items()]
        facts = [declared.meaning.rstrip(".")]
        facts += [f"needs {', '.join(needs)}"] if needs else []
        facts += [f"from the package {package}"] if package else []
        yield one_line(f"{name}{aliases}: {'; '.join(facts)}", 600)
