"""The bench measures what it claims, on its own pools, and cleans up."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from scripts.bench.__main__ import main
from scripts.bench.endurance import Sample, slowdown
from scripts.bench.jobs import payload
from scripts.bench.old_system import OPTIMIZED_SECONDS, optimized_seconds
from scripts.bench.peer_processes import PEERS, run_apart
from scripts.bench.peers import PROCESSES, RAY, missing, thread_pool, thread_pool_with_codecs
from scripts.bench.pictures import read_benchmark, write_benchmark, write_pairs
from scripts.bench.results import announce, machine, raw_file, table
from scripts.bench.runs import BenchError
from scripts.bench.settings import Ratio, Settings, Target, at_least, at_most
from scripts.bench.suite import FIGURES, run_suite
from scripts.bench.timing import Span, ideal_wall, throughput
from scripts.bench.workplace import workplace
from scripts.browser import missing_browser
from tests.waiting import wait_until
from workers.codecs import decode_image
from workers.models.simulation import Simulation

TINY = Settings(
    pairs=6,
    editors=2,
    image_size=64,
    peers=(PROCESSES,),
    latency_ms=5,
    spread_latency_ms=5,
    load_seconds=1,
    real_editors=1,
    isolation_batch_ms=20,
    long_latency_ms=10,
    long_rounds=1,
    sized_rounds=3,
    sized_per_megapixel_ms=20,
    burn_rounds=3,
    many_editors=3,
    many_rounds=2,
    many_latency_ms=5,
    jobs=40,
    idle_seconds=0.2,
    replay_scale=0.002,
    replay_counts=(4, 9),
    large_megabytes=2,
    table_megabytes=8,
    endless_pairs=300,
    endless_beginning=150,
    scored_images=4,
    reply_tokens=4,
    gallery_pairs=(4, 12),
    gallery_frames=12,
    page_openings=2,
    series_pages=((3, 4),),
    judge_slots=(3,),
    judge_items=5,
    judge_seconds=0.1,
)


def processes_with(text: str) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(text in part for part in process.cmdline()):
                processes.append(process)
    return processes


def config_of_child(pid: int) -> str | None:
    """The config of the run that this process has started, if there is one yet."""
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error, ValueError):
            return child.cmdline()[child.cmdline().index("--config") + 1]
    return None


def test_the_ideal_wall_of_equal_edits_is_rounds_times_the_duration() -> None:
    assert ideal_wall([0.2] * 12, 6) == pytest.approx(0.4)
    assert ideal_wall([0.2] * 13, 6) == pytest.approx(0.6), "the last one alone takes as long as a full round"


def test_the_ideal_wall_of_unequal_edits_gives_the_next_pair_to_the_first_free_device() -> None:
    assert ideal_wall([3, 1, 1, 1], 2) == 3
    assert ideal_wall([1, 1, 3], 2) == 4


def test_the_share_includes_encoding_after_the_device_and_busy_does_not() -> None:
    spans = [Span(10.0, 11.0, 11.5), Span(10.0, 11.0, 12.0), Span(11.0, 12.0, 12.5)]
    result = throughput(spans, 2, ideal_seconds=2.0)

    assert result.device_wall_seconds == 2.0
    assert result.busy == pytest.approx(0.75)
    assert result.share == pytest.approx(2.0 / 2.5)


def test_the_lost_time_per_pair_is_that_of_all_devices_beyond_the_ideal() -> None:
    spans = [Span(0.0, 1.0, 1.1), Span(0.0, 1.0, 1.2), Span(1.0, 2.0, 2.4), Span(1.0, 2.0, 2.5)]
    assert throughput(spans, 2, ideal_seconds=2.0).lost_per_pair == pytest.approx(0.25)
    assert throughput(spans, 2, ideal_seconds=2.0).pairs_per_second == pytest.approx(1.6)


@pytest.mark.parametrize(("target", "value", "met"), [(at_least(2), 2, True), (at_least(2), 1.9, False)])
def test_a_target_of_more_is_met_from_its_limit_on(target: Target, value: float, met: bool) -> None:
    assert target.met_by(value) is met
    assert at_most(2).met_by(value)
    assert not at_most(2).met_by(2.1)


def test_the_old_systems_order_takes_its_authors_time_plus_incomplete_rounds_and_batches() -> None:
    assert optimized_seconds([48, 48, 48, 48, 48], 6) == pytest.approx(40 * 1.8 + 60 * 3.0 + 9 * 0.5)
    assert optimized_seconds([50, 50, 54, 58, 58], 6) == pytest.approx(OPTIMIZED_SECONDS, rel=0.03)


def test_a_slowdown_excludes_reading_the_benchmark_and_writing_the_report() -> None:
    cpu = {0: 5.0, 10: 6.0, 20: 7.0, 30: 8.0, 40: 9.0}
    samples = [Sample(0.0, pairs, seconds, 1) for pairs, seconds in cpu.items()]
    report = Sample(0.0, 40, 99.0, 1)
    assert slowdown([*samples, report], 20) == pytest.approx(1.0)
    assert slowdown([*samples[:-1], Sample(0.0, 40, 12.0, 1), report], 20) == pytest.approx(2.5)
    with pytest.raises(BenchError, match="too short"):
        slowdown(samples, 9)


def test_the_payload_of_an_empty_job_is_a_64_kb_image_with_few_pixels() -> None:
    assert 64 * 1024 < len(payload(1)) < 70 * 1024
    assert decode_image(payload(1)).size == (16, 16)
    assert payload(1) != payload(2)


def test_categories_may_differ_in_size_and_the_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    images = [b"one", b"two", b"three"]
    made = write_pairs(tmp_path / "data.json", [1, 3], images)
    assert list(made.pairs.values()) == [b"one", b"two", b"three", b"one"]
    assert read_benchmark(made.path) == made


def test_the_benchmark_holds_the_pictures_that_it_names(tmp_path: Path) -> None:
    made = write_benchmark(tmp_path / "data.json", categories=2, pairs=3, size=32)

    written = json.loads(made.path.read_text(encoding="utf-8"))
    assert [len(pairs) for pairs in written.values()] == [3, 3]
    assert list(made.pairs) == [f"{name}/{pair['pair_id']}" for name, pairs in written.items() for pair in pairs]
    assert {decode_image(image).size for image in made.pairs.values()} == {(32, 32)}
    assert len(set(made.pairs.values())) == 6


@pytest.mark.parametrize("peer", [thread_pool, thread_pool_with_codecs])
def test_a_peer_does_every_pair_and_uses_each_device_as_long_as_the_product(tmp_path: Path, peer: object) -> None:
    made = write_benchmark(tmp_path / "data.json", categories=1, pairs=7, size=16)
    assert callable(peer)
    spans: list[Span] = peer(made.pairs, {"latency_ms": 2, "sigma": 0.4}, 3)

    times = Simulation(latency_ms=2, sigma=0.4)
    held = sum(times.edit_seconds(key, (16, 16)) for key in made.pairs)
    assert len(spans) == 7
    assert sum(span.finished - span.started for span in spans) >= held - 1e-3
    assert all(span.started <= span.finished <= span.delivered for span in spans)


@pytest.mark.slow
@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer != RAY])  # it is a part of the one that keeps results
def test_a_peer_of_processes_does_every_pair_on_all_devices_and_leaves_no_process(peer: str) -> None:
    reason = missing(peer)
    if reason is not None:
        pytest.skip(reason)
    with workplace() as place:
        made = write_benchmark(place.folder / "data.json", categories=1, pairs=9, size=16)
        spans = run_apart(place, peer, made.path, {"latency_ms": 200}, 3)
        assert processes_with(str(place.folder)) == []

    assert len(spans) == 9
    assert all(span.finished - span.started >= 0.2 and span.delivered >= span.finished for span in spans)
    assert max(sum(other.started <= span.started < other.finished for other in spans) for span in spans) == 3


def test_a_peer_that_is_not_installed_is_reported_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.bench.peers.find_spec", lambda name: None)
    assert missing("Ray actor pool") == "ray is not installed"
    assert missing("process pool") is None
    raw: list[Mapping[str, Any]] = []
    console = Console(width=100)
    with console.capture() as capture:
        announce(console, raw.append)({"figure": "jobs", "who": "Ray actor pool", "skipped": "ray is not installed"})
    assert capture.get() == "skipped: jobs, Ray actor pool: ray is not installed\n"
    assert len(raw) == 1


def test_two_benches_in_the_same_second_write_two_files(tmp_path: Path) -> None:
    with raw_file(tmp_path) as (first, record), raw_file(tmp_path) as (second, _):
        record({"figure": "conditions", **machine()})
        assert first != second
        assert json.loads(first.read_text(encoding="utf-8"))["cores"] >= 1


def test_the_table_compares_every_share_with_the_thread_pools() -> None:
    ratios = [
        Ratio("spread", "warmbench, no barrier", 0.96, "a / b", busy=0.97, target=at_least(0.98)),
        Ratio("spread", "thread pool", 0.8, "a / b", busy=0.9),
        Ratio("large-file: memory", "500 MB", 212.4, "MB", target=at_most(300)),
        Ratio("switches", "warmbench, swap", 1 / 9, "c / d"),
    ]
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table(ratios, "title"))

    text = capture.get()
    assert "1.20" in text
    assert "0.111" in text
    assert "≥ 0.98 ✗" in text
    assert "212 │  ≤ 300 ✓" in text
    assert "spread: a / b" in text


def test_a_failed_run_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    with workplace() as place, pytest.raises(BenchError, match="exit code 2"):
        place.run(tmp_path / "nothing.json", pool="p", editor={"device": "cpu"}, reward={"device": "cpu"})
    assert not place.folder.exists()


def test_an_unknown_figure_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing", "--output-dir", str(tmp_path)])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


MEASURED = [figure for figure in FIGURES if figure not in ("recovery", "sweep", "gallery", "series-page")]


@pytest.mark.slow
@pytest.mark.parametrize("figures", [MEASURED[:6], MEASURED[6:9], MEASURED[9:13], MEASURED[13:]], ids=", ".join)
def test_a_tiny_bench_measures_every_figure_and_leaves_nothing(figures: list[str]) -> None:
    raw: list[Mapping[str, Any]] = []
    with workplace() as place:
        ratios = run_suite(place, TINY, raw.append, figures)

    assert list(dict.fromkeys(ratio.figure.partition(":")[0] for ratio in ratios)) == figures
    assert list(dict.fromkeys(numbers["figure"] for numbers in raw)) == figures
    shares = [ratio for ratio in ratios if ratio.figure in ("throughput", "long-edits", "spread")]
    assert [ratio.who for ratio in shares].count("thread pool") == len({"throughput", "spread"}.intersection(figures))
    assert all(0 < ratio.value <= 1.05 and 0 < (ratio.busy or 0) <= 1.05 for ratio in shares)
    others = {(ratio.figure, ratio.who): ratio.value for ratio in ratios if ratio not in shares}
    if "switches" in figures:
        assert others["switches", "warmbench, swap"] == pytest.approx(1 / 9)
    if "warm-start" in figures:
        assert 0 < others["warm-start", "warmbench, --keep-warm"] <= 1.05
    assert all(value > 0 for (figure, _), value in others.items() if figure != "idle")
    assert not place.folder.exists()
    assert processes_with(str(place.folder)) == []


@pytest.mark.slow
def test_a_gallery_is_opened_searched_sorted_and_scrolled() -> None:
    reason = missing_browser()
    if reason is not None:
        pytest.skip(reason)
    raw: list[Mapping[str, Any]] = []
    with workplace() as place:
        ratios = run_suite(place, TINY, raw.append, ["gallery"])

    assert [(numbers["pairs"], len(numbers["seconds_until_cards"])) for numbers in raw] == [(4, 2), (12, 2)]
    assert all(0 < min(numbers["seconds_until_cards"]) <= max(numbers["seconds_until_pictures"]) for numbers in raw)
    assert len(raw[1]["search_ms"]) == 20
    assert len(raw[1]["frame_ms"]["scrolling"]) == 12
    assert set(raw[1]["sort_ms"]) >= {"first", "best", "file", "category", "slowest"}
    figures = [ratio.figure for ratio in ratios]
    assert figures == [f"gallery: {what}" for what in ("open", "open", "search", "sort", "frame", "slow frame", "drag")]
    assert all(ratio.value > 0 for ratio in ratios)


@pytest.mark.slow
def test_the_page_of_a_series_is_opened_scrolled_and_slid_from_run_to_run() -> None:
    reason = missing_browser()
    if reason is not None:
        pytest.skip(reason)
    raw: list[Mapping[str, Any]] = []
    with workplace() as place:
        ratios = run_suite(place, TINY, raw.append, ["series-page"])

    (numbers,) = raw
    assert (numbers["runs"], numbers["pairs"], len(numbers["seconds_until_cards"])) == (3, 4, 2)
    assert {name: len(frames) for name, frames in numbers["frame_ms"].items()} == {
        "scrolling": 12,
        "dragging": 4,
        "sliding": 12,
    }
    assert {ratio.figure.removeprefix("series-page: ") for ratio in ratios} == {
        "open",
        "search",
        "sort",
        "scrolling",
        "sliding",
    }
    assert all(ratio.value > 0 for ratio in ratios)


def test_without_a_browser_the_gallery_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    raw: list[Mapping[str, Any]] = []
    with workplace() as place:
        assert run_suite(place, TINY, raw.append, ["gallery"]) == []
    assert "no Chromium is installed" in raw[0]["skipped"] or "playwright" in raw[0]["skipped"]


@pytest.mark.slow
def test_the_cost_of_a_death_is_measured_and_the_run_is_complete() -> None:
    settings = Settings(pairs=36, editors=3, image_size=64, latency_ms=100)
    raw: list[Mapping[str, Any]] = []
    with workplace() as place:
        ratios = run_suite(place, settings, raw.append, ["recovery"])
    assert [(ratio.figure, ratio.who) for ratio in ratios] == [
        (f"recovery: {what}", who) for what in ("start", "wall") for who in ("with barriers", "without barriers")
    ]
    assert all(ratio.value > 0 for ratio in ratios)
    assert len(raw) == 2


@pytest.mark.slow
def test_ctrl_c_ends_the_pools_and_removes_the_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.bench", "--only", "warm-start", "--output-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as bench:
        try:
            wait_until(lambda: config_of_child(bench.pid))
            folder = Path(config_of_child(bench.pid) or "").parent
            wait_until(lambda: any("worker" in process.cmdline() for process in processes_with(str(folder))))
            bench.send_signal(signal.SIGINT)
            output, _ = bench.communicate(timeout=60)
        finally:
            bench.kill()

    assert bench.returncode == 130, output
    assert not folder.exists()
    assert processes_with(str(folder)) == []
