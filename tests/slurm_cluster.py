"""A Slurm cluster of one node with two GPUs that are none, in a temporary folder, on ports of its own.

The real daemons of Debian's ``slurm-wlm`` and ``munge``; they need root. There is no accounting. Processes are found
by their groups, as ``proctrack/linuxproc`` misses those whose names have a space.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from tests.waiting import wait_until

_PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "squeue", "scancel", "scontrol", "sinfo")

_SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
GresTypes=gpu
ReturnToService=2
KillWait=2
InactiveLimit=0
MinJobAge=30
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


class SlurmCluster:
    """A cluster that runs. ``environment`` is that of its users' commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = socket.gethostname().partition(".")[0]
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "SLURM_TIME_FORMAT": "standard",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the daemons, and wait until the node takes jobs."""
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        controller, node = _free_ports(2)
        text = _SLURM_CONF.format(host=self.host, folder=self.folder, controller_port=controller, node_port=node)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(f"NodeName={self.host} Name=gpu File=/dev/null,/dev/zero\n")
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        names = {"key-file": "munge.key", "socket": "munge.socket", "log-file": "munged.log", "pid-file": "munged.pid"}
        names["seed-file"] = "munged.seed"
        self._daemon("munged", "--foreground", "--force", *(f"--{o}={self.folder / f}" for o, f in names.items()))
        wait_until((self.folder / "munge.socket").exists)
        self._daemon("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        self._daemon("slurmd", "-D", "-N", self.host, "-f", str(self.folder / "slurm.conf"))
        wait_until(lambda: self.output("sinfo", "--noheader", "--format=%T").strip() == "idle")

    def _daemon(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.out").open("wb") as log:
            self._daemons.append(
                subprocess.Popen(
                    [program, *arguments],
                    env={**self.environment, "PATH": _path()},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def output(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(
            command, env=dict(environment or self.environment), capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def jobs(self) -> list[str]:
        """The jobs and steps that have not ended, a line each."""
        jobs = self.output("squeue", "--noheader", "--format=%i %T").splitlines()
        return [*jobs, *self.output("squeue", "--steps", "--noheader", "--format=%i %j").splitlines()]

    def allocate(self, *options: str) -> str:
        """The id of an allocation without a process in it."""
        command = ["salloc", "--no-shell", *options]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stderr.split("Granted job allocation ")[1].split()[0]

    def cancel_all(self, *which: str) -> None:
        """End all jobs, or those that the options of ``scancel`` choose."""
        for signals in (("--signal=KILL", "--full"), ()):
            self.output("scancel", "--user=root", *signals, *which)
        if not which:
            wait_until(lambda: not self.jobs())

    def stop(self) -> None:
        """End all jobs, then the daemons."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.cancel_all()
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if "slurmstepd" in process.name() and process.environ().get("SLURM_CONF") == str(
                    self.folder / "slurm.conf"
                ):
                    process.kill()


def missing() -> str | None:
    """Why there can be no cluster here, or None."""
    absent = [program for program in _PROGRAMS if shutil.which(program, path=_path()) is None]
    if absent:
        return f"Slurm is not installed: {', '.join(absent)} (apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "Slurm's daemons need root"


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A cluster; nothing of it stays behind."""
    folder = Path(tempfile.mkdtemp(prefix="wb-slurm-", dir="/tmp"))
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
