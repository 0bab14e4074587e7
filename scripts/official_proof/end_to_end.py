"""RISEBench's own 64 items from edit to number, on two cores: a tiny editor, and a judge's server on this machine.

    python -m scripts.official_proof.end_to_end --official ~/RISEBench

``--official`` is a checkout of the first edition (commit 3421af4), which has the images too. Prints what the run left,
and fails if an item or a number is missing, or if it took longer than ``--seconds``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from scheduler.protocols.risebench import PROTOCOL
from scripts.official_proof.risebench import answer
from tests.openai_server import OpenAIServer
from tests.set_up import tiny_model

_KEY = "END_TO_END_KEY"
_ITEMS = 64


def main() -> int:
    """Run it; 0 if everything is there in time."""
    parser = argparse.ArgumentParser(prog="python -m scripts.official_proof.end_to_end", description=__doc__)
    parser.add_argument("--official", type=Path, required=True, help="a checkout of RISEBench at commit 3421af4")
    parser.add_argument("--seconds", type=float, default=180, help="the longest that the run may take")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    editor = tiny_model("editor")
    with tempfile.TemporaryDirectory(prefix="end-to-end-") as folder, OpenAIServer(answer=answer) as server:
        file = Path(folder) / "config.yaml"
        config = _config(options.official.resolve(), editor, server.base_url, Path(folder) / "outputs")
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        started = time.monotonic()
        code = subprocess.run(
            [sys.executable, "-m", "scheduler", "run", "--config", str(file)],
            env={**os.environ, _KEY: "no-secret", "WARMBENCH_HOME": f"{folder}/pools"},
            check=False,
        ).returncode
        seconds = time.monotonic() - started
        reports = list((Path(folder) / "outputs").glob("evaluation_report_*.json"))
        report = json.loads(reports[0].read_text(encoding="utf-8")) if reports else None
        return _verdict(code, seconds, options.seconds, report, len(server.requests))


def _config(official: Path, editor: Path, base_url: str, outputs: Path) -> dict[str, Any]:
    judge = PROTOCOL.judge_of("risebench").models[0]
    return {
        "benchmark": {"data_path": str(official / "data"), "protocol": "risebench", "official": str(official)},
        "diffusion_model": {
            "type": "multi_gpu_qwen_image_edit",
            "params": {
                "model_name": str(editor),
                "device_ids": ["cpu", "cpu"],
                "dtype": "float32",
                "num_inference_steps": 2,
                "true_cfg_scale": 4.0,
            },
        },
        "reward_model": {
            "type": "openai",
            "params": {"base_url": base_url, "model_name": judge, "api_key_env": _KEY},
        },
        "evaluation": {"output_dir": str(outputs)},
    }


def _verdict(code: int, seconds: float, limit: float, report: dict[str, Any] | None, requests: int) -> int:
    if report is None:
        print(f"failed: the run ended with exit code {code}, without a report")
        return 1
    numbers: dict[str, float | None] = report["official"]["numbers"]
    scored = sum(pair["score"] is not None for pair in report["pairs"])
    without = [name for name, value in numbers.items() if value is None]
    print(
        f"{scored} of {_ITEMS} items with numbers in {seconds:.0f} s, {requests} requests, exit code {code}; "
        f"{report['official']['main']}: {numbers[report['official']['main']]}"
    )
    good = code == 0 and scored == len(report["pairs"]) == _ITEMS and not without and seconds <= limit
    if not good:
        print(f"failed: expected all within {limit:.0f} s; without a value: {', '.join(without) or 'none'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
