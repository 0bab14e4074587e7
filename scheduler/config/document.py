"""A loaded config: all sections, with every default, immutable."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scheduler.config.models import DiffusionModel, ModelSection, RewardModel
from scheduler.config.pool_section import PoolSection
from scheduler.config.prompts import Prompts
from scheduler.config.reading.yaml_values import PLAIN_WORDS
from scheduler.config.sections import BenchmarkSection, EvaluationSection, LoggingSection, SchedulerSection
from scheduler.config.tracker_section import TrackersSection
from scheduler.config.values import Section


@dataclass(frozen=True)
class Config:
    """The attributes mirror the YAML: ``config.diffusion_model.params.seed``.

    ``path`` is the file, ``notices`` are lines for the user; neither counts when two configs are compared.
    ``pool.name``, ``pool.transport`` and ``logging.log_dir`` are always set.
    """

    benchmark: BenchmarkSection
    diffusion_model: DiffusionModel
    reward_model: RewardModel
    prompts: Prompts
    evaluation: EvaluationSection
    logging: LoggingSection
    pool: PoolSection
    scheduler: SchedulerSection
    trackers: TrackersSection
    path: Path = field(compare=False)
    notices: tuple[str, ...] = field(default=(), compare=False)

    @property
    def pool_name(self) -> str:
        """The pool that a run attaches to."""
        return self.pool.name or self.path.stem

    @property
    def log_dir(self) -> Path:
        """The folder of log files."""
        return self.logging.log_dir or self.evaluation.output_dir / "logs"

    def as_resolved_yaml(self) -> str:
        """The config with every default and built-in prompt; loading it gives an equal config."""
        plain = {
            "benchmark": _plain(self.benchmark),
            "diffusion_model": _plain_model(self.diffusion_model),
            "reward_model": _plain_model(self.reward_model),
            **({} if self.benchmark.protocol is not None else {"prompts": self.prompts.as_plain()}),
            "evaluation": _plain(self.evaluation),
            "logging": _plain(self.logging),
            "pool": {name: value for name, value in _plain(self.pool).items() if value is not None},
            "scheduler": _plain(self.scheduler),
            **({"trackers": self.trackers.wanted} if self.trackers.wanted else {}),
        }
        text: str = yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
        return text


def _plain(section: Section) -> dict[str, Any]:
    return section.model_dump(mode="json")


def _plain_model(section: ModelSection) -> dict[str, Any]:
    plain = section.model_dump(mode="json", serialize_as_any=True)
    return {name: value for name, value in plain.items() if value is not None}


# libyaml's is ten times as fast, and quotes a text with NEL, the line break of Unicode, so that it is read as it was.
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc] # a class of either library
    """Quotes text that PyYAML or our own reader would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class asks for each value
        return True


for _tag, _pattern, _first in PLAIN_WORDS:
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Prompts keep their lines; PyYAML quotes what a block can't hold exactly."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
