"""Whether the launcher of a pool on this machine has ended, however the pool is reached."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from protocol import PROTOCOL_VERSION, VERSION
from protocol.keys import ClientKeys, new_pair
from protocol.pool import PoolCard
from protocol.processes import create_time
from scheduler.pool.address import PoolAddress
from scheduler.pool.client import PoolClient


@pytest.mark.parametrize("endpoint", ["ipc:///tmp/no-such-pool.sock", "tcp://127.0.0.1:9"])
def test_the_end_of_a_launcher_on_this_machine_is_that_of_its_process(endpoint: str, tmp_path: Path) -> None:
    pair = new_pair()
    keys = ClientKeys(public=pair.public, secret=pair.secret, server=new_pair().public)
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as launcher,
        zmq.Context() as context,
    ):
        card = PoolCard(
            endpoint=endpoint,
            pid=launcher.pid,
            pid_create_time=create_time(launcher.pid),
            protocol_version=PROTOCOL_VERSION,
            version=VERSION,
            started=0.0,
        )
        address = PoolAddress("pool", endpoint, tmp_path, card, keys if endpoint.startswith("tcp") else None)
        client = PoolClient(context, address, "run")
        end = client.end()
        assert not end.wait(0)
        launcher.kill()
        assert end.wait(20)
        end.close()
        client.close()
