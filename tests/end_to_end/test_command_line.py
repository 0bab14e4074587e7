"""What the command line checks, says and answers before anything is run."""

from __future__ import annotations

import base64
import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import User, encoded, pair, picture, small_benchmark, write_data
from tests.plugin_packages import install


def test_a_dry_run_and_the_statistics_of_scores_import_nothing_that_takes_long(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    program = (
        "import sys\n"
        "import scheduler.commands.pool_actions\n"
        "from scheduler.commands.main import main\n"
        "from scheduler.statistics.describe import describe\n"
        f"assert main(['run', '--dry-run', '--config', {str(config)!r}]) == 0\n"
        "describe([1.0, 2.0])\n"
        "heavy = {'torch', 'transformers', 'diffusers', 'numpy', 'scipy', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_help_of_a_command_imports_nothing_that_takes_long() -> None:
    program = (
        "import sys\n"
        "from scheduler.commands.main import COMMANDS, main\n"
        "def imported_by_help(*commands):\n"
        "    for command in commands:\n"
        "        try: main([command, '--help'])\n"
        "        except SystemExit: pass\n"
        "    return {name.split('.')[0] for name in sys.modules}\n"
        "assert not {'pydantic', 'rich', 'zmq', 'PIL', 'yaml'} & imported_by_help('run', 'score', 'workers')\n"
        "assert not {'pydantic', 'zmq', 'numpy', 'scipy', 'torch'} & imported_by_help(*COMMANDS)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_help_imports_next_to_nothing_however_many_plug_ins_are_installed(tmp_path: Path) -> None:
    for number in range(20):
        name = f"plugin_{number}"
        install(tmp_path, name, "warmbench.formats", {name: f"{name}:FORMAT"}, "raise SystemExit('was imported')")
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "before = set(sys.modules)\n"
        "from scheduler.commands.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "imported = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "assert imported == {'scheduler', 'protocol'}, imported\n"
        "assert not {'importlib.metadata', 'asyncio', 'logging'} & set(sys.modules) - before\n"
        "packages = {'scheduler.base', 'scheduler.commands'}\n"
        "ours = {name for name in sys.modules if name.startswith('scheduler.')} - packages\n"
        "base = {f'scheduler.base.{name}' for name in ('exhausted', 'exit_codes', 'output')}\n"
        "assert ours == {'scheduler.commands.main', *base}, ours\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_dry_run_says_what_a_run_would_do_and_does_nothing(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    result = user.run_config(config, "--dry-run", "--limit", "3", "--categories", "物理")

    assert result.code == 0, result.output
    assert "物理: 3 pairs" in result.output
    assert "spatial" not in result.output
    assert not user.output.exists()
    assert user.left_over() == []


def test_all_errors_of_a_config_are_reported_together(user: User, tmp_path: Path) -> None:
    data = small_benchmark(tmp_path / "data.json")
    config: dict[str, Any] = {
        "benchmark": {"data_path": str(data), "categories": ["物理", "spatiel"], "limmit": 3},
        "diffusion_model": {
            "type": "multi_gpu_qwen_image_edit",
            "params": {
                "model_name": str(tmp_path / "no-model"),
                "device_ids": [97],
                "num_inference_steps": "many",
                "true_cfg": 4.0,
            },
        },
        "reward_model": {
            "type": "qwen3_vl",
            "params": {"model_name": str(tmp_path / "no-reward"), "device": "cpu", "batch_size": 0, "scoring": "guess"},
        },
        "prompts": {"物理": {"system_prompt": "s", "user_prompt_template": "look at {image}"}},
        "evaluation": {"metrics": ["mean", "mode"], "output_dir": str(tmp_path / "out")},
        "logging": {"level": "LOUD"},
        "schedular": {"round_size": 2},
    }
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    result = user.check_config(path)  # a dry run without NVML would not check the device

    assert result.code == 2
    for named in (
        "benchmark.categories",
        "benchmark.limmit",
        "no-model",
        "97",
        "num_inference_steps",
        "true_cfg",
        "no-reward",
        "batch_size",
        "scoring",
        "{image}",
        "mode",
        "logging.level",
        "schedular",
    ):
        assert named in result.output, f"{named} is not named in:\n{result.output}"
    assert "scheduler" in result.output, "the nearest known section is named"
    assert not (tmp_path / "out").exists()


def test_a_missing_file_and_a_missing_option_are_usage_errors(user: User, tmp_path: Path) -> None:
    assert user.check("run").code == 2
    assert user.check_config(tmp_path / "nowhere.yaml").code == 2
    no_data = user.simulated(tmp_path / "nowhere.json")
    result = user.check_config(no_data)
    assert result.code == 2
    assert "nowhere.json" in result.output
    assert user.check_config(no_data, "--limit", "0").code == 2


def bomb(width: int, height: int) -> str:
    """A PNG of a few bytes whose header claims a huge image."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return base64.b64encode(start + b"\0\0\0\0IEND\xaeB`\x82").decode()


def broken_benchmark(path: Path) -> Path:
    """Three good pairs, and one of each kind of broken one."""
    buffer = io.BytesIO()
    picture((200, 200)).save(buffer, "JPEG")
    cut_jpeg = base64.b64encode(buffer.getvalue()[: len(buffer.getvalue()) // 2]).decode()
    cut_png = base64.b64encode(base64.b64decode(encoded(picture((200, 200))))[:-60]).decode()
    good = encoded(picture((32, 32)))
    no_instruction = pair("no-instruction", good)
    del no_instruction["edit_instruction"]
    return write_data(
        path,
        {
            "good": [pair(number, good) for number in range(3)],
            "broken": [
                pair("bad-base64", "%%%not base64%%%"),
                pair("cut-png", cut_png),
                pair("cut-jpeg", cut_jpeg),
                pair("text-file", base64.b64encode(b"this is no image at all").decode()),
                no_instruction,
                pair("empty-instruction", good, "   "),
                pair("twice", good),
                pair("twice", good),
                pair("bomb", bomb(50_000, 50_000)),
                pair("../../x", good),
                {**pair("x", good), "edit_instruction": ["a", "list"]},
            ],
        },
    )


BROKEN = {
    "bad-base64": "bad_base64",
    "cut-png": "bad_image",
    "cut-jpeg": "bad_image",
    "text-file": "bad_image",
    "no-instruction": "no_instruction",
    "empty-instruction": "no_instruction",
    "twice#2": "duplicate_id",
    "bomb": "image_too_large",
    "x": "bad_field",
}


def test_a_dry_run_lists_every_broken_pair_with_its_kind(user: User, tmp_path: Path) -> None:
    result = user.check_config(user.simulated(broken_benchmark(tmp_path / "data.json")), "--dry-run")

    assert result.code == 3
    for pair_id, kind in BROKEN.items():
        assert f"broken/{pair_id}: {kind}" in result.output
    assert "bad_id" in result.output
    assert "../../x" in result.output
    assert "10 of 14 pairs can't be used" in result.output


@pytest.mark.slow
@pytest.mark.warm
def test_a_real_run_scores_the_good_pairs_and_reports_the_broken_ones(user: User, tmp_path: Path) -> None:
    result = user.run_config(user.simulated(broken_benchmark(tmp_path / "data.json")))

    assert result.code == 3, result.output
    report = user.report()
    assert report["status"] == "INCOMPLETE"
    assert report["category_statistics"]["good"]["num_samples"] == 3
    assert report["category_statistics"]["broken"]["num_samples"] == 1, "the first of two alike counts"
    assert report["category_statistics"]["broken"]["num_failed"] == 10
    kinds = {failure["pair_id"]: (failure["stage"], failure["kind"]) for failure in report["failures"]}
    assert len(report["failures"]) == 10
    for pair_id, kind in BROKEN.items():
        assert kinds[pair_id] == ("load", kind)
    written = {path.name for path in tmp_path.rglob("*") if "outputs" in path.parts or path.parent == tmp_path}
    assert "x" not in written
    assert not (tmp_path.parent / "x.png").exists()
    assert json.dumps(report)


def test_data_of_the_wrong_shape_is_a_usage_error_and_not_a_broken_pair(user: User, tmp_path: Path) -> None:
    for content in ("[1, 2, 3", '"text"', "{}", "not json"):
        path = tmp_path / "odd.json"
        path.write_text(content)
        result = user.check_config(user.simulated(path))
        assert result.code == 2, f"{content}: {result.output}"
        assert "odd.json" in result.output


@pytest.mark.parametrize("option", ["--dry-run", "--limit=1"])
def test_places_that_cannot_be_made_are_all_reported_before_anything_is_run(
    user: User, tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("nothing")
    user.environment["WARMBENCH_HOME"] = str(tmp_path / "file" / "pools")
    config = user.simulated(
        small_benchmark(tmp_path / "data.json", pairs=1), logging={"log_dir": str(tmp_path / "link")}
    )
    result = user.check_config(config, option, "--output-dir", tmp_path / "loop")

    assert result.code == 2, result.output
    assert "3 problems" in result.output
    assert f"{tmp_path}/loop is a link that leads nowhere" in result.output
    assert f"{tmp_path}/link is a link that leads nowhere" in result.output
    assert f"{tmp_path}/file/pools can't be made: " in result.output
    assert "set WARMBENCH_HOME to a folder that you may write to" in result.output


def test_a_pool_whose_sockets_would_have_too_long_a_path_is_reported(user: User, tmp_path: Path) -> None:
    user.environment["WARMBENCH_HOME"] = str(tmp_path / ("x" * 90))
    result = user.check_config(user.simulated(small_benchmark(tmp_path / "data.json", pairs=1)), "--dry-run")
    assert result.code == 2, result.output
    assert "set WARMBENCH_HOME to a shorter folder" in result.output
