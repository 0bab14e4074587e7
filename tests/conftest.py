"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")  # a loaded machine must not fail a test

pytest_plugins = ["tests.browser", "tests.distribution", "tests.tiny_model_fixtures"]


# Compiled modules are kept, whatever the caller prefers: the tests start hundreds of processes that import the same.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# numpy's OpenBLAS starts threads, each of which spins for 30 ms. Hundreds of processes import numpy; none needs them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# torch's threads spin while they wait for each other, which tiny models do most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HEAVY = {"accelerate", "diffusers", "fastapi", "openai", "playwright", "pyarrow", "scipy", "torch", "transformers"}
IMPORTED = pytest.StashKey[list[str]]()
"""Which of them were imported when the tests were collected. Each process of ``make test`` would pay for it."""

_MANY_MODULES = 50
_modules = pytest.StashKey[int]()


def pytest_configure() -> None:
    """A shell's background jobs ignore Ctrl-C, and those of nohup a lost terminal: tests and what they start do not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


gc.disable()  # until the tests are collected: a sixth of the time went into looking at objects that all stay


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()
    session.config.stash[_modules] = len(sys.modules)
    session.config.stash[IMPORTED] = sorted(HEAVY & sys.modules.keys())


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches of these tests alone, for their commands and workers too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARMBENCH_CACHE", str(tmp_path_factory.mktemp("warmbench-cache")))
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Keep what was imported out of garbage collections: workers collect often, and torch leaves a million objects."""
    if len(sys.modules) > item.config.stash[_modules] + _MANY_MODULES:
        item.config.stash[_modules] = len(sys.modules)
        gc.collect()
        gc.freeze()
