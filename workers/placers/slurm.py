"""Workers under Slurm: as steps of the allocation that the launcher runs in, else each as a job of its own.

Slurm neither restarts nor requeues a worker, which is the launcher's task. A worker whose launcher is gone ends by
itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from protocol.devices import gpu_count
from protocol.plan import PoolPlan
from workers.placers.declaration import Order, Placed, PlacementError, Placer, PlacerType, duration
from workers.placers.local import LocalProcess
from workers.placers.slurm_control import SlurmControl, Submitted
from workers.placers.slurm_options import (
    KEYS,
    SlurmOptions,
    job_command,
    option_conflicts,
    option_problem,
    script,
    slurm_environment,
    step_command,
)
from workers.placers.slurm_queue import errors, srun_exit_code, waiting_text
from workers.spawn import environment

DECLARATION = PlacerType(
    name="slurm",
    meaning="Slurm: steps of the allocation that the launcher runs in, else a job for each worker.",
    target="workers.placers.slurm:SlurmPlacer",
    keys=KEYS,
    rules=(option_conflicts,),
)

_END_SECONDS = 10.0


class SlurmPlacer(Placer):
    """Starts a step or a job for each worker."""

    def __init__(self, plan: PoolPlan, folder: Path) -> None:
        super().__init__(plan, folder)
        self._options = _options(plan.placer_options)
        self._job = None if self._options.submit else os.environ.get("SLURM_JOB_ID")
        for program in ("squeue", "scancel", "sbatch" if self._job is None else "srun"):
            if shutil.which(program) is None:
                raise PlacementError(f"{program} is not found: the placer slurm needs Slurm's commands on this machine")
        shared = self._options.shared_folder
        self._shared = Path(shared) if shared is not None else None
        self._environment = slurm_environment(os.environ, job=self._job)
        self._control = SlurmControl(self._environment, self._job, folder / "slurm-jobs")
        self._steps: list[Step] = []
        self._control.watch_steps(lambda: any(step.is_open for step in self._steps))

    def start(self, order: Order) -> Placed:
        try:
            command = [*order.plan.command, *self._with_shared_key(order.arguments)]
            if self._job is None:
                return self._submit(order, command)
            return self._step(order, command, self._job)
        except OSError as error:
            raise PlacementError(f"{order.plan.worker_id} cannot be started: {error}") from error

    def _submit(self, order: Order, command: list[str]) -> Job:
        log = self._log(order)
        name = f"warmbench-{self.plan.name}-{order.plan.worker_id}"
        asked = job_command(self._options, name, str(log), gpus=gpu_count(order.plan.device))
        variables = environment(order.plan, self._environment)
        return Job(self._control, self._control.submit(asked, script(command), _without_gpus(order, variables)))

    def _step(self, order: Order, command: list[str], job: str) -> Step:
        name = f"{order.plan.worker_id}-{order.incarnation}"
        asked = [*step_command(self._options, name, gpus=gpu_count(order.plan.device)), *command]
        variables = _without_gpus(order, environment(order.plan, self._environment))
        begins = order.log.stat().st_size if order.log.exists() else 0
        with order.log.open("ab") as output:
            popen = subprocess.Popen(
                asked, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        step = Step(
            popen,
            self._control,
            name,
            order.log,
            begins,
            f"{_wanted(order)} of Slurm's allocation {job}",
        )
        self._steps = [*(one for one in self._steps if one.is_open), step]
        return step

    def _with_shared_key(self, arguments: Any) -> list[str]:
        """The worker's arguments, with a copy of its key in the folder that all nodes share."""
        result = list(arguments)
        if self._shared is None or "--key" not in result:
            return result
        place = result.index("--key") + 1
        copy = self._shared_key
        content = Path(result[place]).read_bytes()
        self._shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = copy.with_name(f".{copy.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.rename(copy)
        result[place] = str(copy)
        return result

    @property
    def _shared_key(self) -> Path:
        assert self._shared is not None  # noqa: S101 - the callers have looked
        return self._shared / f"warmbench-{self.plan.name}-join.key"

    def _log(self, order: Order) -> Path:
        """Where the job writes: in the shared folder, with a link where the worker's log is looked for."""
        if self._shared is None:
            return order.log
        log = self._shared / f"warmbench-{self.plan.name}-{order.plan.worker_id}.log"
        order.log.unlink(missing_ok=True)
        order.log.symlink_to(log)
        return log

    def close(self) -> None:
        self._control.close()
        if self._shared is not None:
            self._shared_key.unlink(missing_ok=True)


class Job(Placed):
    """A worker as a job of its own."""

    def __init__(self, control: SlurmControl, submitted: Submitted) -> None:
        self._control = control
        self._submitted = submitted
        self._since = time.monotonic()

    @property
    def waits_for(self) -> str | None:
        job, state = self._submitted.job, self._submitted.state
        if self._submitted.code is not None:
            return None
        seconds = time.monotonic() - self._since
        if job is None:
            return f"Slurm to take its job, for {duration(seconds)}"
        if state is None or state.waits:
            return waiting_text(job, state.reason if state is not None else "", seconds)
        return None

    def exit_code(self) -> int | None:
        return self._submitted.code

    @property
    def reason(self) -> str | None:
        return self._submitted.reason

    def end(self) -> None:
        self._control.cancel(self._submitted, now=False)

    def kill(self) -> None:
        self._control.cancel(self._submitted, now=True)


class Step(LocalProcess):
    """A worker as a step of the allocation. The process on this machine is its ``srun``."""

    def __init__(
        self, popen: subprocess.Popen[bytes], control: SlurmControl, name: str, log: Path, begins: int, needs: str
    ) -> None:
        """``log`` is the output of ``srun`` and the worker, from the byte ``begins``."""
        super().__init__(popen)
        self._control = control
        self._name = name
        self._log = log
        self._begins = begins
        self._needs = needs
        self._since = time.monotonic()
        self._runs = False
        self._killed = False

    @property
    def pid(self) -> int:
        return 0

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet that it runs or has ended."""
        return not self._runs and self._popen.returncode is None

    @property
    def waits_for(self) -> str | None:
        if self._name in (self._control.steps.ids or ()):
            self._runs = True
        if not self.is_open:
            return None
        return f"{self._needs}, for {duration(time.monotonic() - self._since)}"

    def exit_code(self) -> int | None:
        code = super().exit_code()
        return None if code is None else srun_exit_code(code)

    @property
    def reason(self) -> str | None:
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(self._begins, self._log.stat().st_size - 4096))
            found = errors(file.read(4096).decode(errors="replace"))
            return found[-1] if found else None
        return None

    def kill(self) -> None:
        self._control.kill_step(self._name)
        # A srun that waits for a place has no step: it ends by a signal, which it passes on to a step.
        self._signal(signal.SIGKILL if self._killed else signal.SIGTERM)
        self._killed = True

    def close(self) -> None:
        try:
            self._popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
        super().close()


def _options(section: dict[str, Any]) -> SlurmOptions:
    try:
        options = msgspec.convert(section, SlurmOptions)
    except msgspec.ValidationError as error:
        raise PlacementError(f"pool.slurm: {error}") from error
    for option in options.options:
        problem = option_problem(option)
        if problem is not None:
            raise PlacementError(f"pool.slurm.options: {option!r:.100} {problem}")
    return options


def _wanted(order: Order) -> str:
    gpus = gpu_count(order.plan.device)
    return ("a CPU", "a GPU")[gpus] if gpus < 2 else f"{gpus} GPUs"


def _without_gpus(order: Order, variables: dict[str, str]) -> dict[str, str]:
    """Slurm sets the GPUs of a worker; one without a GPU must not see those of the launcher."""
    visible = {} if gpu_count(order.plan.device) else {"CUDA_VISIBLE_DEVICES": ""}
    return {name: value for name, value in variables.items() if name != "CUDA_VISIBLE_DEVICES"} | visible
