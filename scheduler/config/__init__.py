"""The configuration: the YAML file that says what a run evaluates, with which models, and how.

``load_config`` reads one and reports every mistake at once; ``requests`` has what it asks of the workers.
"""

from scheduler.config.checks.environment import Environment, category_problems
from scheduler.config.document import Config
from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import ConfigError, Problem

__all__ = [
    "Config",
    "ConfigError",
    "Environment",
    "Overrides",
    "Problem",
    "category_problems",
    "load_config",
]
