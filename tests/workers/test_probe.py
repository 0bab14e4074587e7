"""A process behind a TCP port has ended if its machine refuses connections, and for no other reason."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests.ipv6 import needs_ipv6
from tests.waiting import wait_until
from workers.probe import Probe


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_a_port_refuses_connections_once_its_process_has_ended(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        endpoint = (
            f"tcp://[{host}]:{listener.getsockname()[1]}"
            if ":" in host
            else f"tcp://{host}:{listener.getsockname()[1]}"
        )
        probe = Probe(endpoint)
        listener.accept()[0].close()
        assert not probe.refused
        probe.close()
    probe = Probe(endpoint)
    wait_until(lambda: probe.refused)
    probe.close()


@pytest.mark.parametrize("endpoint", ["tcp://head:5600", "ipc:///tmp/x.sock", "tcp://127.0.0.1:x"])
def test_nothing_is_known_of_what_is_no_address(endpoint: str) -> None:
    with contextlib.closing(Probe(endpoint)) as probe:
        assert not probe.refused


def test_nothing_is_known_of_what_does_not_answer() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Once the queue is full, the kernel answers nobody.
        with contextlib.suppress(TimeoutError):
            while True:
                queue.enter_context(socket.create_connection(address, timeout=0.2))
        with contextlib.closing(Probe(f"tcp://127.0.0.1:{address[1]}")) as probe:
            assert not probe.refused
