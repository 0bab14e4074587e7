"""The section ``trackers``: one mapping for each tracker that is to get the results."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, create_model, model_validator

from scheduler.config.declared import DeclaredSection, section_of
from scheduler.config.problems import printable
from scheduler.config.values import Section
from scheduler.trackers.declaration import SHARED_KEYS, TRACKERS, TrackerType
from workers.models.plugins import PluginError


class TrackersSection(Section):
    """The trackers of a config, by their names."""

    purpose: ClassVar[str] = "Experiment trackers that get the results of each run; by default none."

    @model_validator(mode="before")
    @classmethod
    def _names_alone(cls, data: Any) -> Any:
        """A name without keys, as in ``wandb:``, is a tracker with its defaults."""
        return (
            {name: {} if value is None else value for name, value in data.items()} if isinstance(data, dict) else data
        )

    @property
    def wanted(self) -> dict[str, dict[str, Any]]:
        """The names of the trackers that are to get the results, each with the values of all its keys."""
        sections = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: section.model_dump(mode="json") for name, section in sections.items() if section is not None}


def _broken(error: PluginError) -> Any:
    def refuse(_: object) -> None:
        raise ValueError(printable(str(error), 600))

    refused: Callable[[object], None] = refuse
    return Annotated[Any, PlainValidator(refused)]


def trackers_section_for(names: Collection[str]) -> type[TrackersSection]:
    """The section for these trackers: without any if none is named, as to build them takes time."""
    return trackers_section() if names else TrackersSection


@cache
def trackers_section(*, builtin: bool = False) -> type[TrackersSection]:
    """The section with those of all trackers, with ``builtin`` without those of packages; the same class each time."""
    fields: dict[str, Any] = {}
    for name in TRACKERS.names():
        if (builtin and TRACKERS.package(name)) or hasattr(TrackersSection, name):
            continue
        try:
            tracker = TRACKERS.get(name)
            fields[name] = (_section(tracker) | None, Field(default=None, description=tracker.meaning))
        except (PluginError, ValueError) as error:
            broken = error if isinstance(error, PluginError) else PluginError(f"{TRACKERS.group}: {name!r}: {error}")
            fields[name] = (_broken(broken), Field(default=None))
    return create_model("TrackersSection", __base__=TrackersSection, **fields)


def _section(tracker: TrackerType) -> type[DeclaredSection]:
    own = {key.name for key in tracker.keys}
    keys = (*tracker.keys, *(key for key in SHARED_KEYS if key.name not in own))
    return section_of(DeclaredSection, f"trackers.{tracker.name}", keys, tracker.rules)
