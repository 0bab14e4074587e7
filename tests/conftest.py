"""What all tests share."""

from __future__ import annotations

import gc

pytest_plugins = ["tests.browser", "tests.tiny_model_fixtures"]


def pytest_collection_finish() -> None:
    """Keep the modules and the tests out of every later garbage collection: workers collect often, and it takes long."""
    gc.collect()
    gc.freeze()
