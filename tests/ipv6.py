"""Whether this machine has IPv6 at all: containers often have none."""

from __future__ import annotations

from pathlib import Path

import pytest

_INTERFACES = Path("/proc/net/if_inet6")

needs_ipv6 = pytest.mark.skipif(
    not _INTERFACES.exists() or " lo\n" not in _INTERFACES.read_text(), reason="this machine has no IPv6"
)
