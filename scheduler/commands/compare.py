"""``warmbench compare RUN RUN...``: reads the runs, shows the table, writes it as Markdown and JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scheduler.base.files import write_atomically
from scheduler.base.text import encodable, one_line
from scheduler.report.compare.gallery import render_comparison
from scheduler.report.compare.json_form import comparison_as_json
from scheduler.report.compare.markdown import render_markdown
from scheduler.report.compare.result import Against, Result, compare_all
from scheduler.report.compare.words import (
    cells,
    headings,
    left_out_words,
    note_words,
    run_words,
    setting_words,
    verdict_words,
)
from scheduler.report.saved_run import SavedRun
from scheduler.terminal.say import say
from scheduler.terminal.table import LONGEST_CATEGORY, print_table

_MOST_NAME_BYTES = 200


def compare_runs(console: Console, runs: Sequence[SavedRun], output_dir: Path, limit: float | None) -> Result:
    """Compare each run with the first, show and write what is found, and return it.

    Raises:
        OSError: a ledger can't be read, or the files can't be written.
    """
    result = compare_all(runs, limit)
    paths = _write(result, output_dir)
    say(console, *(run_words(one, one_line) for one in result.runs))
    say(console, *(f"⚠️  {note}" for note in note_words(result, one_line)), style="bold yellow")
    for against in result.against:
        say(console, "", f"Settings, {result.first.label} → {against.other.label}:")
        say(console, *(f"   - {line}" for line in setting_words(against, one_line)))
        print_table(console, _table(result, against))
        say(console, *left_out_words(result, against, one_line))
    say(console, "", *verdict_words(result))
    say(console, *(f"Comparison: {one_line(path)}" for path in paths))
    return result


def _write(result: Result, output_dir: Path) -> list[Path]:
    name = "_".join(["comparison", *(one_line(one.run.stamp) for one in result.runs)])
    if len(name.encode()) > _MOST_NAME_BYTES:
        # The whole list would be no file's name any more.
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        name = f"{name.encode()[: _MOST_NAME_BYTES - 17].decode('utf-8', 'ignore')}_{digest}"
    contents = {
        output_dir / f"{name}.json": comparison_as_json(result),
        output_dir / f"{name}.md": encodable(render_markdown(result)).encode(),
        output_dir / f"{name}.html": render_comparison(result, output_dir, name),
    }
    output_dir.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def _table(result: Result, against: Against) -> Table:
    table = Table(box=box.SQUARE)
    first, *others = headings(result.first.label, against.other.label)
    table.add_column(first, overflow="fold", min_width=8)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, group in against.comparison.categories.items():
        table.add_row(*map(Text, [one_line(name, LONGEST_CATEGORY), *cells(group)]))
    table.add_section()
    table.add_row(*map(Text, ["Overall", *cells(against.comparison.overall)]))
    return table
