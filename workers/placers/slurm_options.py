"""What a config asks Slurm for, and the command lines that ask."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from workers.models.declaration import Conflict, Key

_WORD = r"^[A-Za-z0-9][A-Za-z0-9_.:,|&*()\[\]-]*$"

KEYS = (
    Key("partition", "text", None, "`--partition` of jobs.", low=1, high=200, pattern=_WORD),
    Key("account", "text", None, "`--account` of jobs.", low=1, high=200, pattern=_WORD),
    Key("qos", "text", None, "`--qos` of jobs.", low=1, high=200, pattern=_WORD),
    Key("time", "text", None, "`--time` of jobs, such as `12:00:00`.", low=1, high=40, pattern=_WORD),
    Key("constraint", "text", None, "`--constraint`: features that nodes must have.", low=1, high=200, pattern=_WORD),
    Key("gpu_type", "text", None, "The type of GPU, as `sinfo -o %G` names it.", low=1, high=100, pattern=_WORD),
    Key("cpus", "int", 4, "CPU cores of each worker.", low=1, high=1024),
    Key(
        "memory",
        "text",
        None,
        "`--mem` of each worker, such as `64G`; left out: what the site gives, and within an allocation all share its "
        "memory.",
        low=1,
        high=20,
        pattern=r"^[0-9]+[KMGT]?$",
    ),
    Key(
        "options",
        "list",
        (),
        "More options of `sbatch` (of `srun` within an allocation), each as `--name` or `--name=value`.",
        low=0,
        high=50,
    ),
    Key("submit", "bool", False, "Submit a job for each worker, even within an allocation."),
    Key(
        "shared_folder",
        "path",
        None,
        "A folder that this machine and all nodes share, for the workers' key and the logs of jobs; left out: the "
        "pool's own folder, if that is shared.",
    ),
)

_OPTION = re.compile(r"--([a-z][a-z0-9-]*)(=[^\x00-\x1f\x7f]*)?")
# fmt: off
_OURS = (
    "array", "bcast", "cpus-per-task", "epilog", "error", "exact", "export", "export-file", "get-user-env",
    "gid", "help", "input", "job-name", "kill-on-bad-exit", "mem", "multi-prog", "no-requeue", "nodes",
    "ntasks", "open-mode", "output", "overlap", "parsable", "prolog", "pty", "quiet", "requeue", "task-epilog",
    "task-prolog", "test-only", "uid", "unbuffered", "usage", "version", "wait", "wrap",
)
"""Options that would change what is run, or what this placer relies on."""
# fmt: on

# Slurm's commands take the job's own numbers for options that are not given, and filters from the user's environment.
_INHERITED = re.compile(
    r"(SLURM_(CPUS_PER|GPU|GRES|GTIDS|MEM_PER|NNODES|NPROCS|NTASKS|STEP|TASK|TRES|EXACT|OVERLAP|WHOLE|OVERCOMMIT|HINT)"
    r"|SQUEUE_|SCANCEL_|SACCT_)"
)


class SlurmOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section ``pool.slurm``."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    constraint: str | None = None
    gpu_type: str | None = None
    cpus: int = 4
    memory: str | None = None
    options: tuple[str, ...] = ()
    submit: bool = False
    shared_folder: str | None = None


def option_problem(option: str) -> str | None:
    """What is wrong with one of the site's options, or None."""
    found = _OPTION.fullmatch(option)
    if found is None:
        return "must be --name or --name=value"
    # Slurm's commands take any unambiguous beginning of a name.
    if any(ours.startswith(found[1]) for ours in _OURS):
        return "is set by warmbench"
    return None


def option_conflicts(section: Mapping[str, Any]) -> Iterator[Conflict]:
    """A rule: the site's options cannot replace the command or what the placer relies on."""
    for number, option in enumerate(section["options"]):
        problem = option_problem(option)
        if problem is not None:
            yield Conflict((("options", number),), problem, "`--name=value`, one option an entry")


def job_command(options: SlurmOptions, name: str, log: str, *, gpus: int) -> list[str]:
    """The ``sbatch`` that reads the script of one worker's job from its standard input, and prints the job's id."""
    named = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "time": options.time,
        "constraint": options.constraint,
        "mem": options.memory,
    }
    return [
        "sbatch",
        *options.options,
        *(f"--{key}={value}" for key, value in named.items() if value is not None),
        *_shape(options, name, gpus=gpus),
        "--parsable",
        "--no-requeue",
        "--export=ALL",
        f"--output={log.replace('%', '%%')}",
        "--open-mode=append",
    ]


def step_command(options: SlurmOptions, name: str, *, gpus: int) -> list[str]:
    """The ``srun`` of one worker within the allocation of the environment; the worker's command follows it.

    ``--exact`` leaves the rest of the allocation to others, and memory that no key asks for is shared.
    """
    constraint = [f"--constraint={options.constraint}"] if options.constraint is not None else []
    return [
        "srun",
        *options.options,
        *constraint,
        *_shape(options, name, gpus=gpus),
        f"--mem={options.memory or 0}",
        *([] if gpus else ["--gres=none"]),
        "--exact",
        "--kill-on-bad-exit=0",
        "--export=ALL",
        "--input=none",
        "--unbuffered",
    ]


def _shape(options: SlurmOptions, name: str, *, gpus: int) -> Iterator[str]:
    yield f"--job-name={name}"
    yield "--nodes=1"
    yield "--ntasks=1"
    yield f"--cpus-per-task={options.cpus}"
    asked = any(option.startswith(("--gpus", "--gres")) for option in options.options)
    if gpus and not asked:
        yield f"--gpus-per-task={options.gpu_type}:{gpus}" if options.gpu_type else f"--gpus-per-task={gpus}"


def script(command: Sequence[str]) -> str:
    """The script of a job that is this command."""
    return f"#!/bin/sh\nexec {shlex.join(command)}\n"


def slurm_environment(parent: Mapping[str, str], *, job: str | None) -> dict[str, str]:
    """The environment for Slurm's commands: within the allocation ``job``, or outside of any."""
    kept = {name: value for name, value in parent.items() if not _INHERITED.match(name)}
    if job is None:
        kept = {
            name: value
            for name, value in kept.items()
            if not name.startswith(("SLURM_JOB", "SLURM_NODE", "SLURM_LOCAL"))
        }
    return kept
