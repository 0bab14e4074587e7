"""What Slurm is asked for, and what its answers mean: without Slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.scheduler.config.written import only_problem, problems_of
from workers.placers.declaration import duration
from workers.placers.slurm_options import (
    SlurmOptions,
    job_command,
    option_conflicts,
    option_problem,
    script,
    slurm_environment,
    step_command,
)
from workers.placers.slurm_queue import (
    JobState,
    errors,
    read_accounting,
    read_jobs,
    read_steps,
    srun_exit_code,
    waiting_text,
)

SITE = SlurmOptions(
    partition="gpu", account="team", qos="long", time="12:00:00", constraint="a100|h100", gpu_type="a100", cpus=8,
    memory="64G", options=("--nodelist=n[1-3]", "--exclusive"),
)  # fmt: skip


def test_a_job_has_the_options_of_the_site_then_those_that_the_placer_relies_on() -> None:
    assert job_command(SITE, "warmbench-p-editor-0", "/shared/100%.log", gpus=1) == [
        "sbatch",
        "--nodelist=n[1-3]",
        "--exclusive",
        "--partition=gpu",
        "--account=team",
        "--qos=long",
        "--time=12:00:00",
        "--constraint=a100|h100",
        "--mem=64G",
        "--job-name=warmbench-p-editor-0",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=8",
        "--gpus-per-task=a100:1",
        "--parsable",
        "--no-requeue",
        "--export=ALL",
        "--output=/shared/100%%.log",
        "--open-mode=append",
    ]


def test_a_step_takes_one_gpu_and_leaves_the_rest_of_the_allocation_to_others() -> None:
    assert step_command(SlurmOptions(), "editor-0-abc", gpus=1) == [
        "srun",
        "--job-name=editor-0-abc",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=4",
        "--gpus-per-task=1",
        "--mem=0",
        "--exact",
        "--kill-on-bad-exit=0",
        "--export=ALL",
        "--input=none",
        "--unbuffered",
    ]


def test_a_worker_takes_as_many_gpus_as_its_model_is_spread_over() -> None:
    assert "--gpus-per-task=a100:2" in job_command(SITE, "n", "l", gpus=2)
    assert "--gpus-per-task=4" in step_command(SlurmOptions(), "n", gpus=4)


def test_a_worker_on_the_cpu_takes_no_gpu() -> None:
    assert not [part for part in job_command(SITE, "n", "l", gpus=0) if "gpu=" in part or "gpus" in part]
    command = step_command(SITE, "n", gpus=0)
    assert "--gres=none" in command
    assert not [part for part in command if part.startswith("--gpus")]


@pytest.mark.parametrize("option", ["--gres=gpu:h100:1", "--gpus=1", "--gpus-per-node=1"])
def test_a_site_may_ask_for_gpus_in_its_own_way(option: str) -> None:
    for command in (
        job_command(SlurmOptions(options=(option,)), "n", "l", gpus=1),
        step_command(SlurmOptions(options=(option,)), "n", gpus=1),
    ):
        assert [part for part in command if part.startswith(("--gpus", "--gres"))] == [option]


@pytest.mark.parametrize("option", ["--exclusive", "--mem-per-gpu=40G", "--comment=a b; c", "--gres=gpu:1"])
def test_options_of_a_site_are_passed_on(option: str) -> None:
    assert option_problem(option) is None


@pytest.mark.parametrize(
    "option",
    [
        "--wrap=rm -rf /", "--wra=id", "--w=id", "--prolog=/bin/sh", "--task-prolog=x", "--task-ep=x", "--requeue",
        "--output=/etc/x", "--ntasks=9", "--array=1-9", "--uid=0", "--expor=NONE", "--kill-on-bad-exit=1", "--overlap",
        "-pgpu", "-p", "id", "", "--", "--=x", "--partition gpu", "--comment=a\nb", "--comment=\0", "--Wrap=id",
    ],
)  # fmt: skip
def test_no_option_brings_a_command_or_replaces_what_the_placer_relies_on(option: str, tmp_path: Path) -> None:
    assert option_problem(option) is not None
    found = list(option_conflicts({"options": ["--exclusive", option]}))
    assert [conflict.keys for conflict in found] == [(("options", 1),)]


def test_a_config_with_such_an_option_is_refused_with_its_place(tmp_path: Path) -> None:
    text = "pool: {placer: slurm, slurm: {options: [--exclusive, --wrap=id], partition: a b, cpus: 0, submitt: true}}"
    found = {problem.path for problem in problems_of(tmp_path, text)}
    assert found >= {"pool.slurm.partition", "pool.slurm.cpus", "pool.slurm.submitt"}
    only = only_problem(tmp_path, "pool: {placer: slurm, slurm: {options: [--exclusive, --wrap=id]}}")
    assert only.path == "pool.slurm.options[1]"
    assert "set by warmbench" in only.message


def test_the_script_of_a_job_is_the_command_whatever_its_arguments_are(tmp_path: Path) -> None:
    arguments = ["a b", "$(id)", "'", "\n", "*"]
    path = tmp_path / "job.sh"
    path.write_text(script(["printf", "%s|", *arguments]))
    assert subprocess.check_output(["sh", path], text=True) == "".join(f"{part}|" for part in arguments)


def test_numbers_of_the_launchers_own_job_do_not_become_those_of_workers() -> None:
    parent = {
        "SLURM_JOB_ID": "7", "SLURM_CONF": "/x", "SLURM_GPUS": "2", "SLURM_GPUS_PER_TASK": "2", "SLURM_NTASKS": "4",
        "SLURM_MEM_PER_NODE": "9", "SLURM_CPUS_PER_TASK": "3", "SLURM_NNODES": "2", "SLURM_STEP_ID": "0", "HOME": "/h",
        "SQUEUE_PARTITION": "x", "SCANCEL_STATE": "x",
    }  # fmt: skip
    assert slurm_environment(parent, job="7") == {"SLURM_JOB_ID": "7", "SLURM_CONF": "/x", "HOME": "/h"}
    assert slurm_environment(parent, job=None) == {"SLURM_CONF": "/x", "HOME": "/h"}


LISTED = """\
8|PENDING|0|Resources|
6|RUNNING|0|None|
1|CANCELLED|15|None|
2|FAILED|1792|NonZeroExitCode|
3|COMPLETED|0|None|
4|TIMEOUT|0|TimeLimit|
5|NODE_FAIL|256|None|
9|COMPLETING|0|None|
a line that is none
"""


def test_squeue_says_which_jobs_wait_run_and_have_ended_and_how() -> None:
    jobs = read_jobs(LISTED)
    codes = {name: job.exit_code for name, job in jobs.items()}
    assert codes == {"8": None, "6": None, "1": -15, "2": 7, "3": 0, "4": 1, "5": 1, "9": None}
    assert [name for name, job in jobs.items() if job.waits] == ["8"]
    causes = {name: job.cause for name, job in jobs.items() if job.cause}
    assert causes == {"1": "cancelled", "4": "timeout (TimeLimit)", "5": "node fail"}


def test_sacct_answers_for_jobs_that_squeue_has_forgotten() -> None:
    assert read_accounting("CANCELLED by 1000|0:15\n") == JobState("CANCELLED", 15, "CANCELLED by 1000")
    assert read_accounting("FAILED|7:0\n") == JobState("FAILED", 1792, "")
    assert read_accounting("") is None
    assert read_accounting("slurm_persist_conn_open: no|connection\n") is None


def test_steps_are_found_by_their_names() -> None:
    assert read_steps("5.1|editor-2-abc\n5.batch|batch\n\n") == {"editor-2-abc": "5.1", "batch": "5.batch"}


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (9, 9), (77, 77), (137, -9), (143, -15), (-9, -9), (255, 255)])
def test_srun_gives_a_signal_as_128_more(code: int, expected: int) -> None:
    assert srun_exit_code(code) == expected


def test_what_a_job_waits_for_and_how_long_is_said() -> None:
    assert (
        waiting_text("8", "Resources", 37) == "Slurm to start job 8 (Resources, what it asks for is in use), for 35 s"
    )
    assert waiting_text("8", "QOSMaxGRESPerUser", 600).endswith("job 8 (QOSMaxGRESPerUser), for 10 min")
    assert duration(3 * 3600) == "3 h"


def test_errors_of_slurms_commands_are_the_reason() -> None:
    text = "srun: error: first\nTraceback\nsrun: error: vm: task 0: Killed\nsrun: Force Terminated StepId=4.0\n"
    assert errors(text) == ["first", "vm: task 0: Killed"]
    assert errors("a worker's own line: srun: error: x\n") == []
