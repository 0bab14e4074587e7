"""What all tests share."""

from __future__ import annotations

import gc

pytest_plugins = ["tests.browser", "tests.tiny_model_fixtures"]


def pytest_collection_finish() -> None:
    """Keep all that lives as long as the session out of garbage collections: workers collect often."""
    gc.collect()
    gc.freeze()
