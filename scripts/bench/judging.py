"""How much of what a judge's server can give is used, once the requests in flight have grown, beside the `openai`
package with a fixed pool of threads.

The server is a process of its own: the tests' server, which takes a second for a reply. All share the same cores. The
images are JPEGs that are sent as they are.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from scripts.bench.pictures import picture, write_pairs
from scripts.bench.runs import read_finished_run
from scripts.bench.settings import Ratio, Record, Settings, at_least
from scripts.bench.workplace import Workplace
from workers.codecs import encode_png

_DISTINCT, _QUALITY, _MAX_BYTES = 16, 90, 100_000
_ROOT = Path(__file__).resolve().parents[2]

Span = tuple[float, float]
"""When a request began and ended."""


@dataclass(frozen=True)
class Edits:
    """Edits in a folder, and the benchmark of which they are."""

    data: Path
    folder: Path
    images: Sequence[Path]


def measure_judging(place: Workplace, settings: Settings, record: Record) -> list[Ratio]:
    """Few, some and many requests in flight."""
    ratios = []
    for slots in settings.judge_slots:
        edits = _write_edits(place.new_folder("p"), slots * settings.judge_items)
        ideal = slots / settings.judge_seconds
        shares: dict[str, float] = {}
        for name, judge in (("warmbench", _judged_by_a_run), ("the openai package, threads", _judged_by_threads)):
            with _server(place, settings.judge_seconds) as address:
                spans = judge(place, edits, address, slots)
            shares[name] = steady_rate(spans, slots) / ideal
            wall = max(end for _, end in spans) - min(start for start, _ in spans)
            figures = {"share": shares[name], "requests": len(spans), "wall_seconds": wall}
            record({"figure": "judging", "who": name, "slots": slots, **figures})
        place.clear()
        meaning = "requests per second once ramped up / what the server gives"
        ratios += [
            Ratio(f"judging: {slots} in flight", name, share, meaning, target=at_least(0.9) if ours else None)
            for ours, (name, share) in zip((True, False), shares.items(), strict=True)
        ]
    return ratios


def steady_rate(spans: Sequence[Span], slots: int) -> float:
    """Requests per second from the moment when all ``slots`` were used (or nearly all that ever were) until the last
    request began. Of a request that reaches over one end, the part inside counts.
    """
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    levels, level = [], 0
    for moment, change in changes:
        level += change
        levels.append((moment, level))
    full = min(slots, max(level for _, level in levels)) * 0.95
    begin = next(moment for moment, level in levels if level >= full)
    end = max(start for start, _ in spans)
    inside = sum(max(0.0, min(end, stop) - max(begin, start)) / (stop - start) for start, stop in spans)
    return inside / (end - begin)


def _write_edits(folder: Path, count: int) -> Edits:
    tiny = [encode_png(picture(number, 32)) for number in range(_DISTINCT)]
    data = write_pairs(folder / "data.json", [count], tiny)
    pictures = [_jpeg(number) for number in range(_DISTINCT)]
    images = []
    for number, key in enumerate(data.pairs):
        path = folder / "edits" / f"{key}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = pictures[number % _DISTINCT]
        comment = f"{number:08}".encode()
        path.write_bytes(content[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2) + comment + content[2:])
        images.append(path)
    return Edits(data.path, folder / "edits", images)


def _jpeg(number: int) -> bytes:
    """A photo of less than 100 KB."""
    with BytesIO() as file:
        picture(number, 928, 696).save(file, "JPEG", quality=_QUALITY)
        content = file.getvalue()
    assert _MAX_BYTES / 2 < len(content) < _MAX_BYTES, len(content)  # noqa: S101 - the picture is made here
    return content


@contextmanager
def _server(place: Workplace, seconds: float) -> Iterator[str]:
    """The tests' server; yields its address."""
    command = [sys.executable, "-m", "tests.openai_server", "--port", "0", "--latency", str(seconds)]
    with subprocess.Popen(command, cwd=_ROOT, env=place.environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def _judged_by_a_run(place: Workplace, edits: Edits, address: str, slots: int) -> list[Span]:
    reward = {
        "type": "openai",
        "model_name": "any",
        "base_url": address,
        "max_concurrency": slots,
        "image_format": "jpeg",
    }
    config = place.write_config(edits.data, {}, reward)
    launched = time.time()
    place.python("-m", "scheduler", "score", "--images", str(edits.folder), "--config", str(config), "--pool", "judge")
    run = read_finished_run(config.with_suffix(""), launched)
    return [(row["started"], row["finished"]) for row in run.of("scored")]


def _judged_by_threads(_place: Workplace, edits: Edits, address: str, slots: int) -> list[Span]:
    import openai

    client = openai.OpenAI(base_url=address, api_key="none")

    def ask(path: Path) -> Span:
        started = time.time()
        url = f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
        client.chat.completions.create(
            model="any",
            temperature=0,
            messages=[
                {"role": "system", "content": "Judge the edit."},
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": url}},
                        {"type": "text", "text": f"How well was it made? {path.stem}"},
                    ],
                },
            ],
        )
        return started, time.time()

    with client, ThreadPoolExecutor(slots) as pool:
        return list(pool.map(ask, edits.images))
