"""What tests of editors share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.workers.models.editors.small_sources import with_small_sources


@pytest.fixture(scope="module")
def small_sources() -> Iterator[None]:
    """The pipelines work on a sixteenth of a megapixel, not on one."""
    with pytest.MonkeyPatch.context() as patch:
        with_small_sources(patch)
        yield
