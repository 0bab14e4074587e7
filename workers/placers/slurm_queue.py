"""What Slurm says about jobs and steps: reading what its commands print."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from workers.placers.declaration import duration

_ERROR = re.compile(r"(?:srun|sbatch): (?:error|fatal): (.{1,300})")
# fmt: off
_ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
# fmt: on
_MEANINGS = {
    "Resources": "what it asks for is in use",
    "Priority": "others come first",
    "Dependency": "another job has to end first",
    "JobHeldUser": "it is held: scontrol release",
    "JobHeldAdmin": "an administrator holds it",
    "PartitionDown": "the partition is down",
    "PartitionTimeLimit": "it asks for more time than the partition allows",
    "PartitionNodeLimit": "it asks for more than the partition has",
    "BadConstraints": "no node is as it asks for",
    "InvalidAccount": "the account is not valid",
    "InvalidQOS": "the QOS is not valid",
    "BeginTime": "its time to start has not come",
    "Reservation": "its reservation has not begun",
}

JOB_FORMAT = "--Format=JobID:|,State:|,exit_code:|,Reason:|"
STEP_FORMAT = "--format=%i|%j"


@dataclass(frozen=True)
class JobState:
    """A job as Slurm sees it. ``status`` is the wait status of its process, once it has ended."""

    state: str
    status: int
    reason: str

    @property
    def waits(self) -> bool:
        """Whether it has not started."""
        return self.state in _WAITING

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it waits or runs. A job that Slurm has ended has not
        succeeded, whatever its process says.
        """
        if self.state not in _ENDED:
            return None
        if number := self.status & 0x7F:
            return -number
        return self.status >> 8 or (0 if self.state == "COMPLETED" else 1)

    @property
    def cause(self) -> str | None:
        """Why it ended, if that was Slurm's doing."""
        if self.state not in _ENDED or self.state in ("COMPLETED", "FAILED"):
            return None
        words = self.state.replace("_", " ").lower()
        return f"{words} ({self.reason})" if self.reason not in ("None", "", words) else words


def read_jobs(text: str) -> dict[str, JobState]:
    """The jobs that ``squeue`` with ``JOB_FORMAT`` has printed, by id."""
    jobs = {}
    for line in text.splitlines():
        match [part.strip() for part in line.split("|")]:
            case [job, state, status, reason, *_] if job.isdecimal() and state:
                jobs[job] = JobState(state, int(status) if status.isdecimal() else 0, reason)
    return jobs


def read_accounting(text: str) -> JobState | None:
    """The job that ``sacct --parsable2 --noheader --format=State,ExitCode`` has printed; None if there is none."""
    state, _, codes = text.partition("\n")[0].partition("|")
    code, _, number = codes.partition(":")
    if not (state and code.isdecimal() and number.isdecimal()):
        return None
    word = state.partition(" ")[0]  # CANCELLED by 1000
    return JobState(word, int(code) << 8 | int(number), "" if word == state else state)


def read_steps(text: str) -> dict[str, str]:
    """The ids of the steps that ``squeue --steps`` with ``STEP_FORMAT`` has printed, by name."""
    pairs = (line.strip().partition("|") for line in text.splitlines())
    return {name: step for step, _, name in pairs if name}


def srun_exit_code(code: int) -> int:
    """The exit code of a worker from that of its ``srun``, which gives a signal as 128 more."""
    if 128 < code <= 128 + signal.SIGRTMAX:
        return 128 - code
    return code


def waiting_text(job: str, reason: str, seconds: float) -> str:
    """What a job waits for, and how long."""
    meaning = _MEANINGS.get(reason)
    why = f"{reason}, {meaning}" if meaning else reason
    return f"Slurm to start job {job} ({why}), for {duration(seconds)}"


def errors(text: str) -> list[str]:
    """The errors that one of Slurm's commands has printed, without the command's name."""
    return [found[1] for line in text.splitlines() if (found := _ERROR.match(line))]
