"""A model's server: started, waited for, watched, and stopped with all that it has started, whoever dies first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from protocol.plan import ENVIRONMENT_BEFORE
from tests.waiting import wait_until
from tests.workers.models.served.servers import FILES, STUBBORN, Words, gone, processes, served
from workers.interface import ModelError
from workers.models.served.process import ServedProcess, ServerSettings


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path)


def test_a_server_is_started_on_a_free_port_waited_for_and_stopped(words: Words, tmp_path: Path) -> None:
    server = served(words, FILES)
    server.start()
    with urllib.request.urlopen(server.base_url.removesuffix("/v1")) as reply:  # noqa: S310 - it is on this machine
        assert reply.status == 200
    assert words.progressed > 0, "waiting for it counts as progress of the load"
    found = processes(tmp_path)
    assert len(found) == 2, "the guard and the server"
    server.close()
    assert gone(found)
    assert not words.broken
    assert not server.has_ended()
    assert "GET / HTTP/1.1" in (words.context.folder / "reward-server.log").read_text()


def test_what_ignores_sigterm_is_killed_with_all_that_it_has_started(words: Words, tmp_path: Path) -> None:
    server = served(words, [sys.executable, "-c", STUBBORN, "{port}"])
    server.start()
    found = processes(tmp_path)
    assert len(found) == 4
    server.close()
    assert gone(found)


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_its_server_with_it(words: Words, tmp_path: Path) -> None:
    program = f"""
        import sys, time
        from pathlib import Path
        from workers.interface import WorkerContext
        from workers.models.served.process import ServedProcess, ServerSettings
        settings = ServerSettings(command=[sys.executable, "-c", {STUBBORN!r}, "{{port}}"], ready="/")
        ServedProcess("reward", settings, WorkerContext("reward-0", Path({str(tmp_path / "pool")!r}))).start()
        print("ready", flush=True)
        time.sleep(1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        found = processes(tmp_path)
        assert len(found) >= 4
        worker.kill()
        wait_until(lambda: gone(found), seconds=10)


@pytest.mark.parametrize("victim", ["server", "guard"])
def test_a_server_that_dies_ends_its_worker_with_its_last_lines_as_the_reason(
    words: Words, tmp_path: Path, victim: str
) -> None:
    server = served(words, [sys.executable, "-c", STUBBORN, "{port}"])
    server.start()
    guard, *others = found = processes(tmp_path)
    (leader,) = [process for process in others if "http.server" in process.cmdline()]
    (guard if victim == "guard" else leader).kill()
    wait_until(lambda: words.broken)
    assert words.broken[0].startswith("its server has ended (SIGKILL); its log (")
    assert "GET / HTTP/1.1" in words.broken[0]
    assert server.has_ended()
    wait_until(lambda: gone([guard, leader] if victim == "guard" else found))
    server.close()
    for process in found:
        if process.is_running():
            process.kill()


@pytest.mark.slow
def test_a_server_that_hangs_ends_its_worker(words: Words, tmp_path: Path) -> None:
    settings = ServerSettings(command=FILES, ready="/")
    server = ServedProcess("reward", settings, words.context, term_seconds=0.2, hung_seconds=0.3)
    server.start()
    found = processes(tmp_path)
    assert not server.has_ended()
    found[-1].suspend()  # the kernel still accepts connections for it
    wait_until(lambda: words.broken)
    assert "its server hangs: / gave no 2xx for 0.3 s" in words.broken[0]
    assert server.has_ended()
    server.close()
    assert gone(found)


@pytest.mark.slow
def test_a_server_that_answers_byte_by_byte_is_not_ready(words: Words) -> None:
    program = """
import itertools, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    try:
        for byte in itertools.cycle(b"HTTP/1.1 200 OK and so on "):
            connection.send(bytes([byte]))
            time.sleep(0.05)
    except OSError:
        pass
"""
    server = served(words, [sys.executable, "-c", program, "{port}"], start_timeout_seconds=1.0)
    began = time.monotonic()
    with pytest.raises(ModelError, match="is not ready after 1 s"):
        server.start()
    assert time.monotonic() - began < 30


def test_a_server_that_ends_at_its_start_is_an_error_with_the_end_of_its_log(words: Words, tmp_path: Path) -> None:
    program = "import sys; print('loading'); print('no such model: X', file=sys.stderr); sys.exit(3)"
    server = served(words, [sys.executable, "-c", program, "{port}"])
    ends = r"^server\.command has ended \(exit code 3\); its log .* ends: .*no such model: X"
    with pytest.raises(ModelError, match=ends):
        server.start()
    assert gone(processes(tmp_path))
    assert not words.broken
    with pytest.raises(
        ModelError, match=r"^server\.command has ended \(exit code 4\); its log [^|]* ends: another end$"
    ):
        served(words, [sys.executable, "-c", "import sys; print('another end'); sys.exit(4)", "{port}"]).start()


def test_a_server_that_is_not_ready_in_time_is_stopped(words: Words, tmp_path: Path) -> None:
    server = served(words, FILES, ready="/health", start_timeout_seconds=0.5)
    with pytest.raises(ModelError, match=r"is not ready after 0\.5 s \(start_timeout_seconds\): /health gave no 2xx"):
        server.start()
    assert gone(processes(tmp_path))


def test_a_port_where_another_program_listens_is_an_error(words: Words, tmp_path: Path) -> None:
    """It would answer in the server's place."""
    other = served(words, FILES)
    other.start()
    port = urlsplit(other.base_url).port
    with pytest.raises(ModelError, match=rf"^server\.port: port {port} can't be used: Address already in use: "):
        served(Words(tmp_path, "another"), FILES, port=port).start()
    assert len(processes(tmp_path)) == 2, "nothing else was started"
    other.close()
    again = served(words, FILES, port=port)
    again.start()
    again.close()


def test_the_log_of_a_server_that_prints_without_end_begins_anew(
    words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.models.served.process._MOST_LOG_BYTES", 100_000)
    program = "import os, sys; print('x' * 200_000, flush=True); os.execv(sys.executable, sys.argv[1:])"
    server = served(words, [sys.executable, "-c", program, *FILES])
    server.start()
    log = words.context.folder / "reward-server.log"
    wait_until(lambda: log.stat().st_size < 100_000)
    with urllib.request.urlopen(server.base_url.removesuffix("/v1")):  # noqa: S310 - it is on this machine
        pass
    wait_until(lambda: log.read_bytes().endswith(b'"GET / HTTP/1.1" 200 -\n'))
    assert log.stat().st_size < 100_000
    server.close()


def test_a_command_that_does_not_exist_is_an_error(words: Words) -> None:
    with pytest.raises(ModelError, match=r"^server\.command cannot be run: no-such-server: No such file or directory$"):
        served(words, ["no-such-server", "{port}"]).start()


def test_a_server_has_the_launchers_variables_and_its_own(
    words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are set for workers are not passed on: they would hide the GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(ENVIRONMENT_BEFORE, json.dumps({"CUDA_VISIBLE_DEVICES": "4,5", "OMP_NUM_THREADS": None}))
    program = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"
    written = tmp_path / "environment.json"
    command = [sys.executable, "-c", f"{program}; os.execv(sys.executable, sys.argv[2:])", str(written), *FILES]
    server = served(words, command, env={"MASTER_PORT": "{port}", "DEBUG": 1})
    server.start()
    port = urlsplit(server.base_url).port
    server.close()
    environment = json.loads(written.read_text())
    assert environment["CUDA_VISIBLE_DEVICES"] == "4,5"
    assert environment["MASTER_PORT"] == str(port)
    assert environment["DEBUG"] == "1"
    assert not {"OMP_NUM_THREADS", ENVIRONMENT_BEFORE} & environment.keys()


def test_the_guard_ends_the_server_when_it_is_told_to_end(words: Words, tmp_path: Path) -> None:
    server = served(words, FILES)
    server.start()
    guard, *_ = found = processes(tmp_path)
    os.kill(guard.pid, signal.SIGTERM)
    wait_until(lambda: gone(found))
    server.close()
