"""Workers that somebody else starts: by hand, by ssh, or by an engine of its own such as Kubernetes."""

from __future__ import annotations

from workers.placers.declaration import Order, Placer, PlacerType

DECLARATION = PlacerType(
    name="join",
    meaning="Nobody: whoever runs `warmbench workers join` brings a worker.",
    target="workers.placers.join:JoinPlacer",
)


class JoinPlacer(Placer):
    """Starts nothing."""

    starts = False

    def start(self, order: Order) -> None:  # noqa: ARG002 - the base class has it
        return None
