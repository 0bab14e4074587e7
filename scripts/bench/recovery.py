"""The cost of an editor's death, in the middle of a pair and of a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from scripts.bench.pictures import PictureBenchmark
from scripts.bench.runs import ActiveRun, BenchError, FinishedRun
from scripts.bench.settings import Ratio, Record, Settings
from scripts.bench.throughput import POOL, REWARD
from scripts.bench.workplace import Workplace

_VICTIM = "editor-2"
_WARM_SECONDS = 60.0


def measure_recovery(place: Workplace, data: PictureBenchmark, settings: Settings, record: Record) -> list[Ratio]:
    """Kill an editor of a warm pool with SIGKILL in the middle of a pair, after a third of the pairs. Measure how soon
    another device starts that pair, and the edit stage's wall time compared with the best possible one.
    """
    seconds = settings.latency_ms / 1000
    best: dict[str, tuple[float, float]] = {}
    for number in range(settings.repeat):
        for who, barriers in (("with barriers", True), ("without barriers", False)):
            editor = {**settings.devices, "latency_ms": settings.latency_ms, "enable_batch_sync": barriers}
            run = place.start_run(data.path, "--keep-warm", "--no-launch", pool=POOL, editor=editor, reward=REWARD)
            killed = _kill(place, run, settings, seconds)
            finished = run.finish()
            again, share, absent = _cost(finished, killed, settings)
            record(
                {
                    "figure": "recovery",
                    "who": who,
                    "repeat": number,
                    "seconds_until_started": again,
                    "share": share,
                    "absent_seconds": absent,
                }
            )
            known = best.get(who, (float("inf"), 0.0))
            best[who] = (min(known[0], again), max(known[1], share))
            place.clear()
    start = "time from the death until another device starts the pair, in edits; less is better"
    wall = "the best possible wall of the other editors and the restarted one / the wall"
    return [
        *(Ratio("recovery: start", who, again / seconds, start) for who, (again, _) in best.items()),
        *(Ratio("recovery: wall", who, share, wall) for who, (_, share) in best.items()),
    ]


def _kill(place: Workplace, run: ActiveRun, settings: Settings, seconds: float) -> float:
    """Kill the victim in the middle of a pair; return the time."""
    deadline = time.monotonic() + _WARM_SECONDS
    while time.monotonic() < deadline:
        done = [row for row in run.rows() if row["event"] == "edited"]
        own = [float(row["finished"]) for row in done if row["worker"] == _VICTIM]
        if len(done) >= settings.pairs // 3 and own:
            # An edit starts when the last one ends, so its middle is half an edit later, plus any number of edits.
            middle = max(own) + seconds / 2
            while middle < time.time():
                middle += seconds
            victim = place.worker(POOL, _VICTIM)
            time.sleep(max(0.0, middle - time.time()))
            victim.kill()
            return time.time()
        time.sleep(0.02)
    raise BenchError("the run ended, or made too little progress, before an editor could be killed")


def _cost(run: FinishedRun, killed: float, settings: Settings) -> tuple[float, float, float]:
    """Seconds until the lost pair was started again; the ideal wall of the edits / the real one; seconds for which the
    victim was absent.
    """
    seconds = settings.latency_ms / 1000
    edits = run.of("edited")
    if len({_key(row) for row in edits}) != len(edits):
        raise BenchError("an edit was made twice")
    again = [row for row in edits if row["attempt"] > 1]
    if not again:
        raise BenchError("the killed editor had no pair")
    # The first of its pairs, in the benchmark's order, was on its device; the others had only been sent.
    order = {_key(row): place for place, row in enumerate(run.of("planned"))}
    lost = min(again, key=lambda row: order[_key(row)])
    starts = [float(row["started"]) for row in edits]
    back = [float(row["started"]) for row in edits if row["worker"] == _VICTIM and float(row["started"]) > killed]
    end = max(float(row["finished"]) for row in edits)
    absent = min(back, default=end) - killed
    # The devices' work, including the lost half of an edit, and the victim's absence, spread over all devices.
    work = len(edits) * seconds + seconds / 2 + absent
    return float(lost["started"]) - killed, work / settings.editors / (end - min(starts)), absent


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["category"], row["pair_id"]
