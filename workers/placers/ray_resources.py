"""What a Ray cluster lacks for an actor that it does not start, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Resources = Mapping[str, float]


def lacking(wanted: Resources, nodes: Sequence[Resources], available: Resources) -> str:
    """Return what an actor waits for. ``nodes`` are what each live node has, ``available`` what is free in all."""
    wanted = {name: number for name, number in wanted.items() if number}
    if not any(all(node.get(name, 0) >= number for name, number in wanted.items()) for node in nodes):
        return f"a Ray node with {_listed(wanted)}; the cluster has {_counted(len(nodes))} and none is such"
    short = {name: number for name, number in wanted.items() if available.get(name, 0) < number}
    if not short:
        return "Ray to start its actor"
    total = {name: sum(node.get(name, 0) for node in nodes) for name in short}
    free = ", ".join(f"{available.get(name, 0):g} of {total[name]:g} {name} free" for name in short)
    return f"{_listed(short)} of the Ray cluster: {free}"


def _listed(resources: Resources) -> str:
    return " and ".join(f"{number:g} {name}" for name, number in resources.items())


def _counted(nodes: int) -> str:
    return f"{nodes} node{'s' if nodes != 1 else ''}"
