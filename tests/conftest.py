"""What all tests share."""

from __future__ import annotations

import gc

from hypothesis import HealthCheck, settings

settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")  # a loaded machine must not fail a test

pytest_plugins = ["tests.browser", "tests.tiny_model_fixtures"]


def pytest_collection_finish() -> None:
    """Keep all that lives as long as the session out of garbage collections: workers collect often."""
    gc.collect()
    gc.freeze()
