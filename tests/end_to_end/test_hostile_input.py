"""Benchmarks and configs that mean harm, through the real command: nothing crashes, grows, leaks out or is mixed up."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.end_to_end.measured import MEGABYTE, measured
from tests.harness import User, encoded, pair, picture, small_benchmark, write_data


def files_below(*folders: Path) -> set[Path]:
    """All that lies there, links not followed."""
    return {path for folder in folders for path in folder.rglob("*")}


def shows_safely(output: str) -> None:
    """No control character and nothing that changes the direction of reading gets to the terminal."""
    for line in output.split("\n"):
        odd = [sign for sign in line if unicodedata.category(sign) == "Cc" or 0x202A <= ord(sign) <= 0x202E]
        assert odd == [], f"{odd!r} in {line!r}"


# -- names -----------------------------------------------------------------------------------------------------------

LONG = "🦆" * 199
GOOD_IDS = (
    "CON", "Case", "case", "caf\u00e9", "cafe\u0301", "🦆👩‍🚀", "a\u202egnp.exe", "zero\u200bwidth", "zerowidth",
    LONG + "a", LONG + "b", "𠀀" * 200, ".hidden", "~", "-rf", "$(touch pwned)", "`id`",
    "{0.__class__}", "%s%n", "a b", "<b>&amp;",
)  # fmt: skip
BAD_IDS = ("../../x", "..", ".", "/etc/x", "a/b", "a\\b", "x" * 10_000, "esc\x1b[31m", "nul\0", "new\nline", "")


def coloured(number: int) -> Image.Image:
    """An image that is not any other's, nor another's inverse."""
    return Image.new("RGB", (8, 6), (number, 200, 90))


@pytest.mark.slow
@pytest.mark.warm
def test_with_any_ids_every_pair_has_its_own_image_and_no_file_lies_elsewhere(user: User, tmp_path: Path) -> None:
    items = [pair(name, encoded(coloured(number))) for number, name in enumerate(GOOD_IDS)]
    bad = [pair(name, encoded(coloured(255))) for name in BAD_IDS]
    data = write_data(tmp_path / "data.json", {"CON": items, "a\u202eb {0} %s": [*bad, items[0]], "..": items[:2]})
    config = user.simulated(data, editor={"latency_ms": 0})
    before = files_below(tmp_path.parent)
    result = user.run_config(config)

    assert result.code == 3, result.output
    shows_safely(result.output)
    edited = {(row["category"], row["pair_id"]): row for row in user.rows("edited")}
    assert {name for category, name in edited if category == "CON"} == set(GOOD_IDS)
    assert len({row["image"] for row in edited.values()}) == len(GOOD_IDS) + 1
    for number, name in enumerate(GOOD_IDS):
        path = user.run_folder() / edited["CON", name]["image"]
        assert path.resolve().is_relative_to(user.run_folder() / "images" / "CON")
        with Image.open(path) as image:
            assert image.getpixel((0, 0)) == (255 - number, 55, 165), f"{name!r} has its own edit"
    failed = [(row["kind"], row["stage"]) for row in user.rows("failed")]
    assert failed == [("bad_id", "load")] * (len(BAD_IDS) + 2)
    written = {path for path in files_below(tmp_path.parent) - before if "__pycache__" not in str(path)}
    assert {path for path in written if not path.is_relative_to(user.output)} == set()
    dry = user.run_config(config, "--dry-run")
    assert dry.code == 3
    shows_safely(dry.output)
    assert f"{len(BAD_IDS) + 2} of " in dry.output


@pytest.mark.slow
@pytest.mark.warm
def test_an_id_that_equals_the_file_name_of_another_pair_does_not_take_its_image(user: User, tmp_path: Path) -> None:
    from scheduler.store.run_directory import RunDirectory

    name = Path(RunDirectory(tmp_path).image_path("c", LONG, 0)).name.removesuffix(".png")
    assert name != LONG
    items = [pair(LONG, encoded(coloured(1))), pair(name, encoded(coloured(2)))]
    result = user.run_config(user.simulated(write_data(tmp_path / "data.json", {"c": items})))
    assert result.code == 0, result.output
    assert len({row["image"] for row in user.rows("edited")}) == 2


# -- texts -----------------------------------------------------------------------------------------------------------

TEXTS = (
    "{0.__class__} {original_description!r} {edit_instruction} {} {{}} {", "%s %(x)s %n", "${x} $HOME `id` $(id)",
    "<script>alert(1)</script> <img src=x onerror=alert(1)>", "| a | b |\n|---|\n# Title\n[x](javascript:alert(1))",
    "\x1b[31mred\x1b]0;title\x07 \x9b2J \b\b\b", "a\u202egnp.exe \u200b\u2066x", "🦆" * 3000, "=1+1\t@SUM(A1)",
    "<b onclick=alert(1)>|`" * 4500, "\u05e9\u05dc\u05d5\u05dd \u0639\u0631\u0628\u064a \u202ba",
)  # fmt: skip
RECORDERS = """
import json
from pathlib import Path
from protocol.messages import Judgement
from workers.interface import Editor, Reward, Scores

def record(name, value):
    with Path(name).open("a") as file:
        file.write(json.dumps(value) + "\\n")

class Edits(Editor):
    def load(self, residency):
        pass
    def edit(self, request, progress):
        record(self.spec.params["heard"], request.instruction)
        return request.image

class Scores_(Reward):
    def load(self, residency):
        pass
    def score(self, requests, parameters, progress):
        for request in requests:
            record(self.spec.params["heard"], [request.prompt.system, request.prompt.user])
        return Scores([Judgement(score=5.0, response=request.prompt.user) for request in requests])
"""


@pytest.mark.slow
def test_texts_arrive_unchanged_and_are_shown_escaped(user: User, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RECORDERS)
    items = []
    for number, text in enumerate(TEXTS):
        items.append({**pair(number, encoded(coloured(number)), text), "original_description": text[::-1]})
    category = "<b>[c](x)\u202e{edit_instruction}"
    template = {"system_prompt": "%s", "user_prompt_template": "1 {original_description} 2 {edit_instruction} 3"}
    config = user.config(
        benchmark={"data_path": str(write_data(tmp_path / "data.json", {category: items}))},
        diffusion_model={
            "class_path": "mine.Edits",
            "params": {"device": "cpu", "heard": str(tmp_path / "edits")},
        },
        reward_model={
            "class_path": "mine.Scores_",
            "params": {"device": "cpu", "heard": str(tmp_path / "scores")},
        },
        prompts={category: template},
    )
    result = measured(user, "run", "--config", config)

    assert result.code == 0, result.output
    shows_safely(result.output)
    heard = [json.loads(line) for line in (tmp_path / "edits").read_text().splitlines()]
    assert sorted(heard) == sorted(TEXTS)
    prompts = [json.loads(line) for line in (tmp_path / "scores").read_text().splitlines()]
    assert sorted(prompts) == sorted([["%s", f"1 {text[::-1]} 2 {text} 3"] for text in TEXTS])
    (markdown,) = user.output.glob("*.md")
    text = markdown.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "<script" not in text
    assert "](javascript" not in text
    shows_safely(text)
    for log in (user.output / "logs").iterdir():
        shows_safely(log.read_text(encoding="utf-8"))


def test_templates_with_format_tricks_are_all_reported_and_nothing_is_run(user: User, tmp_path: Path) -> None:
    tricks = ("{0.__class__}", "{original_description!r}", "{edit_instruction:>9999999}", "{}", "{edit_instruction.a}")
    prompts = {
        f"c{number}": {"system_prompt": "s", "user_prompt_template": trick} for number, trick in enumerate(tricks)
    }
    result = user.check_config(user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), prompts=prompts))
    assert result.code == 2
    for number in range(len(tricks)):
        assert f"prompts.c{number}.user_prompt_template" in result.output
    assert not user.output.exists()


# -- configs ---------------------------------------------------------------------------------------------------------


def laughs() -> str:
    """A billion of them, in a kilobyte."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.slow
def test_malicious_configs_are_refused_in_little_memory(user: User, tmp_path: Path) -> None:
    pwned = tmp_path / "pwned"
    texts = {
        "laughs": laughs(),
        "tag": f"a: !!python/object/apply:os.system ['touch {pwned}']",
        "deep": "a: " + "[" * 100_000,
        "large": "# " + "x" * (50 * MEGABYTE),
    }
    for name, text in texts.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        result = measured(user, "run", "--config", path)
        assert result.code == 2, result.output
        assert f"{name}.yaml" in result.output
        assert result.peak < 200 * MEGABYTE
    for path in (Path("/dev/stdin"), Path("/dev/zero"), tmp_path):
        result = measured(user, "run", "--config", path)
        assert result.code == 2, result.output
    assert not pwned.exists()


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:*", "tcp://10.0.0.1:5555"])
def test_an_address_as_transport_is_refused_by_name(user: User, tmp_path: Path, address: str) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=1), pool={"transport": address})
    result = user.check_config(config, "--dry-run")
    assert result.code == 2
    assert "pool.transport" in result.output
    assert address in result.output
    assert "the address as `listen`" in result.output


# -- large and broken data -------------------------------------------------------------------------------------------


def sparse(path: Path, parts: Sequence[bytes | int]) -> Path:
    """A file of bytes and of holes, which take no space."""
    with path.open("wb") as file:
        for part in parts:
            if isinstance(part, int):
                file.seek(part, os.SEEK_CUR)
            else:
                file.write(part)
    return path


def one(name: str, **fields: str) -> Iterator[bytes]:
    """The members of a pair of which one value is to follow, each ending before that value's quote."""
    whole = {**pair(name, encoded(coloured(7))), **fields}
    hole = next(key for key, value in whole.items() if value == "HOLE")
    yield from json.dumps(whole).encode().split(f'"{hole}": "HOLE"'.encode(), 1)[:1]
    yield f'"{hole}": "'.encode()
    yield b'"' + json.dumps(whole).encode().split(f'"{hole}": "HOLE"'.encode(), 1)[1]


@pytest.mark.warm
@pytest.mark.slow
def test_a_string_of_two_gigabytes_takes_no_memory_and_spoils_only_its_pair(user: User, tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 4 * 2**30:
        pytest.skip("less than 4 GiB of disk: the file has holes, but a file system may fill them")
    parts: list[bytes | int] = [b'{"c": [']
    for name, hole, size in (
        ("image", "original_image_b64", 2 * 2**30),
        ("instruction", "edit_instruction", 100_000_000),
        ("description", "original_description", 100_000_000),
        ("other", "unknown_field", 100_000_000),
        ("#5", "pair_id", 100_000_000),
    ):
        start, opening, end = one(name, **{hole: "HOLE"})
        parts += [start, opening, size, end, b","]
    parts += [json.dumps(pair("good", encoded(coloured(8)))).encode(), b"]}"]
    data = sparse(tmp_path / "data.json", parts)
    config = user.simulated(data)
    result = measured(user, "run", "--config", config)
    assert result.code == 3, result.output
    assert result.peak < 500 * MEGABYTE
    kinds = {row["pair_id"]: row["kind"] for row in user.rows("failed")}
    assert kinds == {
        "image": "image_too_large", "instruction": "bad_field", "description": "bad_field", "#5": "bad_id"
    }  # fmt: skip
    assert {row["pair_id"] for row in user.rows("scored")} == {"good", "other"}


@pytest.mark.slow
def test_deeply_nested_json_is_refused(user: User, tmp_path: Path) -> None:
    for number, text in enumerate(("[" * 100_000, '{"c": [' + '{"a": ' * 100_000)):
        path = tmp_path / f"deep{number}.json"
        path.write_text(text)
        result = measured(user, "run", "--config", user.simulated(path))
        assert result.code == 2
        assert f"deep{number}.json" in result.output
        assert result.peak < 300 * MEGABYTE


def bombs() -> dict[str, bytes]:
    """Files of at most a few kilobytes that promise gigabytes of pixels, or hold megabytes of metadata."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    small = io.BytesIO()
    picture((16, 16)).save(small, "JPEG")
    frame = small.getvalue().index(b"\xff\xc0")
    jpeg = bytearray(small.getvalue())
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    gif = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6)
    gif += b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\x00;"
    lossless = b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(20)
    webp = b"VP8L" + struct.pack("<I", len(lossless)) + lossless + b"\0" * (len(lossless) % 2)
    canvas = b"VP8X" + struct.pack("<IB3x", 10, 2) + (16_000_000).to_bytes(3, "little") * 2 + b"ANIM" + bytes(10)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200 * MEGABYTE)))
    text = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200 * MEGABYTE)))
    start, end = b"\x89PNG\r\n\x1a\n", chunk(b"IEND", b"")
    return {
        "png": start + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)) + pixels + end,
        "jpeg": bytes(jpeg),
        "gif": gif,
        "webp": b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp,
        "webp-canvas": b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas,
        "tiff": b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHII", 256, 4, 1, 2**31) * 2 + bytes(4),
        "bmp": b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2**30, 2**30, 1, 24, 0) + bytes(40),
        "png-profile": start + header + profile + pixels + end,
        "png-text": start + header + text + pixels + end,
    }


@pytest.mark.slow
@pytest.mark.warm
def test_decompression_bombs_are_refused_in_little_memory_and_the_others_are_scored(user: User, tmp_path: Path) -> None:
    made = bombs()
    items = [pair(name, base64.b64encode(content).decode()) for name, content in made.items()]
    items.append(pair("good", encoded(picture((32, 32)))))
    config = user.simulated(write_data(tmp_path / "data.json", {"c": items}))
    for option in ((), ("--dry-run",)):
        result = measured(user, "run", "--config", config, *option)
        assert result.code == 3, result.output
        assert result.peak < 500 * MEGABYTE
    kinds: dict[str, Any] = {row["pair_id"]: row["kind"] for row in user.rows("failed")}
    assert kinds.items() >= {"png": "image_too_large", "jpeg": "image_too_large", "gif": "image_too_large"}.items()
    assert set(kinds.values()) <= {"image_too_large", "bad_image"}
    scored = {row["pair_id"] for row in user.rows("scored")}
    assert "good" in scored
    assert scored | kinds.keys() == {*made, "good"}
