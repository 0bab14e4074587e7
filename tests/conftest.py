"""What all tests share."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")  # a loaded machine must not fail a test

pytest_plugins = ["tests.browser", "tests.distribution", "tests.tiny_model_fixtures"]


# Compiled modules are kept, whatever the caller prefers: the tests start hundreds of processes that import the same.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_MANY_MODULES = 50
_modules = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Keep what was imported out of garbage collections: workers collect often, and torch leaves a million objects."""
    seen = item.config.stash.get(_modules, 0)
    if len(sys.modules) > seen + _MANY_MODULES:
        item.config.stash[_modules] = len(sys.modules)
        gc.collect()
        gc.freeze()
