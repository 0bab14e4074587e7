"""Runs ``warmbench score`` on the edits of a proof."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scheduler.protocols.declaration import PROTOCOLS
from scripts.official_proof.declaration import KEY, Place, Proof

_KEY_NAME = "OFFICIAL_PROOF_KEY"


def ours(place: Place, proof: Proof) -> Mapping[str, float | None]:
    """Return the official numbers of the reports; raises ``RuntimeError`` if a run is not complete."""
    numbers: dict[str, float | None] = {}
    for number, keys in enumerate(proof.runs):
        numbers |= _run(place, proof, place.folder / f"run-{number}", keys)
    return numbers


def _run(place: Place, proof: Proof, folder: Path, keys: Mapping[str, Any]) -> Mapping[str, float | None]:
    judge = PROTOCOLS.get(proof.protocol).judge_of(keys.get("format", ""))
    config = {
        "benchmark": {
            "data_path": str(place.data),
            "protocol": proof.protocol,
            "official": str(place.official),
            **keys,
        },
        "diffusion_model": {"type": "identity"},
        "reward_model": {
            "type": "openai",
            "params": {"base_url": place.base_url, "model_name": judge.models[0], "api_key_env": _KEY_NAME},
        },
        "evaluation": {"output_dir": str(folder)},
    }
    folder.mkdir()
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    (edits,) = [path for path in place.edits.iterdir() if path.is_dir()]
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", "score", "--images", str(edits), "--config", str(file)],
        env={**os.environ, _KEY_NAME: KEY, "WARMBENCH_HOME": str(place.folder / "pools")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"warmbench ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    (report,) = folder.glob("evaluation_report_*.json")
    numbers: Mapping[str, float | None] = json.loads(report.read_text(encoding="utf-8"))["official"]["numbers"]
    return numbers
