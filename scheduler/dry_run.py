"""``--dry-run``: says what a run would do, and all that is wrong, without starting anything."""

from __future__ import annotations

from rich.console import Console

from scheduler.manifest import notes
from scheduler.prepare import Prepared
from scheduler.run_directory import find_run
from scheduler.terminal.say import say
from scheduler.text import one_line


def show_dry_run(console: Console, prepared: Prepared, resume: str | None = None) -> bool:
    """Print the plan and every bad pair; return whether all pairs are good.

    Raises:
        scheduler.run_directory.NoSuchRunError: there is no such run to resume.
    """
    config, benchmark, layout = prepared.config, prepared.benchmark, prepared.layout
    editor, reward = config.diffusion_model, config.reward_model
    lines = [
        f"Config: {config.path}",
        f"Data: {benchmark.path} ({benchmark.format})",
        *(f"  {one_line(name)}: {count} pairs" for name, count in counts(prepared).items()),
        f"Editor: {editor.type or editor.class_path} {editor.params.model_name or ''} on {', '.join(layout.editors)}",
        f"Reward: {reward.type or reward.class_path} {reward.params.model_name or ''} on {', '.join(layout.rewards)}",
        f"Residency: {layout.residency}",
        f"Output: {config.evaluation.output_dir}",
        *([f"Resumes: {find_run(config.evaluation.output_dir, resume)}"] if resume else []),
        *(f"Note: {note}" for note in notes(config)),
        *(f"Notice: {notice}" for notice in config.notices),
        *(f"Warning: {warning}" for warning in benchmark.warnings),
    ]
    bad = benchmark.bad
    if bad:
        lines.append(f"{len(bad)} of {len(benchmark.items)} pairs can't be used:")
        lines += [f"  {one_line(pair.key)}: {pair.kind}: {one_line(pair.message)}" for pair in bad]
    else:
        lines.append(f"All {len(benchmark.items)} pairs are good. Nothing was run.")
    say(console, *lines)
    return not bad


def counts(prepared: Prepared) -> dict[str, int]:
    """How many pairs each category has, bad ones included, in the data's order."""
    result = dict.fromkeys(prepared.benchmark.categories, 0)
    for item in prepared.benchmark.items:
        result[item.category] = result.get(item.category, 0) + 1
    return result
