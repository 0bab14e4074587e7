"""``--dry-run``: shows what a run would do and every mistake, and starts nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from rich.console import Console

from protocol.messages import Role
from protocol.pool import home
from scheduler.base.files import read_json
from scheduler.base.stages import Stage
from scheduler.base.text import all_are, counted, one_line
from scheduler.benchmark.units import AllEdits
from scheduler.config.devices import nvml_problem, visible_gpus
from scheduler.config.document import Config
from scheduler.config.layout import Layout, LayoutError, presumed_layout, resolve_layout
from scheduler.pool.client import card_of
from scheduler.report.deviations import deviations
from scheduler.run.admission import refused_edits
from scheduler.run.options import resume_problem
from scheduler.run.prepare import Prepared
from scheduler.stages.costs import KnownCosts, by_cost
from scheduler.stages.estimate import Forecast, kind_of
from scheduler.stages.request_estimate import estimate_requests
from scheduler.stages.task import build_task
from scheduler.store.ledger import LEDGER, LedgerBusyError, is_written
from scheduler.store.manifest import notes
from scheduler.store.official_facts import facts_of_run
from scheduler.store.results import Expected
from scheduler.store.rows import EditedRow, ScoredRow
from scheduler.store.run_names import NoSuchRunError, run_by_id
from scheduler.terminal.say import say


def show_dry_run(console: Console, prepared: Prepared, resume: str | None = None) -> bool:
    """Print the plan, every bad pair and every edit made elsewhere that cannot be judged; return whether all are good.

    Raises:
        scheduler.store.run_names.NoSuchRunError: there is no such run, or it cannot be resumed with these options.
        scheduler.store.ledger.LedgerBusyError: another process works on it.
    """
    config, benchmark = prepared.config, prepared.benchmark
    lines = [
        f"Config: {config.path}",
        f"Data: {benchmark.path} ({benchmark.format})",
        *(f"  {one_line(name)}: {counted(count, 'pair')}" for name, count in prepared.pairs_by_category().items()),
        *([f"Shard: {benchmark.shard}"] if benchmark.shard is not None else []),
        f"Stages: {', '.join(prepared.stages)}",
        *_protocol_lines(prepared),
        *_edits_line(prepared, resume),
        *_layout_lines(config, prepared.layout, prepared.stages, prepared.unchecked),
        *(_estimate_lines(prepared) if resume is None else ()),
        *(_request_lines(prepared) if resume is None else ()),
        f"Output: {config.evaluation.output_dir}",
        *([f"Trackers: {', '.join(config.trackers.wanted)}"] if config.trackers.wanted else []),
        *_reuse_lines(prepared),
        *([f"Resumes: {_resumed(prepared, resume)}"] if resume else []),
        *(f"Note: {one_line(note)}" for note in notes(config, prepared.stages, prepared.edits, benchmark.shard)),
        *(f"Notice: {notice}" for notice in config.notices),
        *(f"Warning: {warning}" for warning in (*prepared.warnings, *benchmark.warnings)),
        *(f"Warning: {warning}" for warning in (prepared.edits.warnings if prepared.edits else ())),
    ]
    bad = benchmark.bad
    refused = refused_edits(prepared.edits, benchmark, config.evaluation.samples_per_pair) if prepared.edits else []
    if bad:
        lines.append(f"{len(bad)} of {counted(len(benchmark.items), 'pair')} can't be used:")
        lines += [f"  {one_line(pair.key)}: {pair.kind}: {one_line(pair.message)}" for pair in bad]
    if refused and prepared.edits:
        lines.append(f"{len(refused)} of {counted(prepared.edits.asked, 'edit')} can't be judged:")
        lines += [f"  {one_line(unit.key)}: {error.kind}: {one_line(error.message)}" for unit, error in refused]
    good = "" if bad or refused else f"{all_are(len(benchmark.items), 'pair')} good. "
    say(console, *lines, f"{good}Nothing was run.")
    return not (bad or refused)


def show_layout(console: Console, config: Config, stages: Collection[Stage]) -> None:
    """Print the devices of a config that cannot run here; nothing if these are what is missing."""
    unchecked = nvml_problem()
    try:
        if unchecked is None:
            layout = resolve_layout(config, visible_gpus(), stages=stages)
        else:
            layout = presumed_layout(config, stages=stages)
    except LayoutError:
        return
    lines = _layout_lines(config, layout, stages, unchecked)
    say(console, f"Config: {config.path}", *lines, *(f"Notice: {notice}" for notice in config.notices))


def _reuse_lines(prepared: Prepared) -> Iterator[str]:
    """Yield what may be taken over: identities are known when the models are loaded."""
    for run in prepared.reuse:
        counts = Counter(type(row) for row in run.rows())
        edits, scores = counted(counts[EditedRow], "edit"), counted(counts[ScoredRow], "score")
        yield f"Reuses: of {edits} and {scores} of {run.name}, those of the same identity"


def _layout_lines(config: Config, layout: Layout, stages: Collection[Stage], unchecked: str | None) -> Iterator[str]:
    """Yield which model gets which devices. ``unchecked`` says why it is not known which GPUs there are."""
    others = "all visible GPUs but the reward's" if "score" in stages else "all visible GPUs"
    models = [
        ("edit", "Editor", config.diffusion_model, layout.editors or (others,)),
        ("score", "Reward", config.reward_model, layout.rewards or ("a visible GPU",)),
    ]
    if config.pool.elsewhere:
        unchecked = None
        yield f"Workers: elsewhere (placer {config.pool.placer}); models, packages and devices there are not checked"
    doubt = ""
    for stage, role, section, devices in models:
        if stage in stages:
            doubtful = unchecked is not None and section.holds_gpu and {*devices} != {"cpu"}
            mark = " (not checked)" if doubtful else ""
            doubt = doubt or mark
            model = " ".join(filter(None, (section.type or section.class_path, section.params.model_name)))
            yield f"{role}: {model} on {', '.join(devices)}{mark}"
    yield f"Residency: {layout.residency}{doubt}"
    if doubt:
        yield f"Devices: not checked, as NVML cannot be used here: {unchecked}"
    yield from (f"Notice: {notice}" for notice in layout.notices)


def _protocol_lines(prepared: Prepared) -> Iterator[str]:
    """Yield the protocol, and what the report will say against its numbers, as far as that is known before the run."""
    config, benchmark, protocol = prepared.config, prepared.benchmark, prepared.protocol
    if protocol is None:
        return
    yield f"Protocol: {protocol.name}, {protocol.version}"
    facts = facts_of_run(config, benchmark, protocol, made_elsewhere=prepared.edits is not None)
    evaluation = config.evaluation
    known = deviations(
        facts,
        expected=Expected(evaluation.samples_per_pair, evaluation.reward_passes, prepared.stages),
        num_items=len(benchmark.items),
        first_source_only=0 if facts.all_sources else sum(len(pair.sources) > 1 for pair in benchmark.pairs),
        without_score={},
        models=(),
    )
    yield f"Comparable with published numbers: {'no' if known else 'yes, if every item gets a score'}"
    yield from (f"  - {one_line(deviation)}" for deviation in known)


def _edits_line(prepared: Prepared, resume: str | None) -> Iterator[str]:
    if prepared.edits is not None:
        yield f"Edits: {counted(len(prepared.edits.images), 'image')} of {one_line(prepared.edits.title)}"
    elif "edit" not in prepared.stages:
        yield f"Edits: those of run {resume}"


def _resumed(prepared: Prepared, run: str) -> Path:
    path = run_by_id(prepared.config.evaluation.output_dir, run)
    problem = resume_problem(read_json(path / "manifest.json"), path.name, prepared.edits, prepared.benchmark.shard)
    if problem is not None:
        raise NoSuchRunError(problem)
    if is_written(path / LEDGER):
        raise LedgerBusyError(f"{path} is in use by another process")
    return path


def _estimate_lines(prepared: Prepared) -> list[str]:
    """Return the estimated duration, if earlier runs have measured the models and the devices are known."""
    config, layout = prepared.config, prepared.layout
    unknown = {"edit": not layout.editors, "score": not layout.rewards}
    if any(unknown[stage] for stage in prepared.stages):
        return []
    kinds: dict[Role, str] = {"editor": kind_of(layout.editors), "reward": kind_of(layout.rewards)}
    forecast = Forecast(config, KnownCosts(home() / ".costs.json"), kinds)
    edits = AllEdits(prepared.benchmark.pairs, config.evaluation.samples_per_pair)
    pixels = build_task(config, prepared.benchmark, prepared.protocol).source_pixels
    made = by_cost(edits, pixels, forecast.line) if "edit" in prepared.stages else ()
    passes = config.evaluation.reward_passes if "score" in prepared.stages else 0
    estimate = forecast.estimate(
        [pixels(unit) / 1e6 for unit in made],
        passes * (len(edits) if prepared.edits is None else len(prepared.edits.images)),
        {"editor": len(layout.editors), "reward": len(layout.rewards)},
        one_after_the_other=layout.residency == "swap",
        loaded=card_of(config.pool_name) is not None,
    )
    return [] if estimate is None else [str(estimate)]


def _request_lines(prepared: Prepared) -> Iterator[str]:
    """Yield what the judge's server will be asked, if there is one."""
    config, benchmark = prepared.config, prepared.benchmark
    reward = config.reward_model
    if "score" not in prepared.stages or not reward.declaration.streams:
        return
    edits = AllEdits(benchmark.pairs, config.evaluation.samples_per_pair)
    params = dict(reward.params)
    estimate = estimate_requests(
        build_task(config, benchmark, prepared.protocol).judging,
        edits if prepared.edits is None else tuple(prepared.edits.images),
        benchmark.by_key,
        longest_side=params.get("max_image_side"),
        reply_tokens=params.get("max_new_tokens"),
    )
    yield f"Judge: {estimate}"
    limit = reward.max_requests
    if limit is not None and limit < estimate.requests:
        yield f"Warning: the run stops after {counted(limit, 'request')} (reward_model.params.max_requests)"
