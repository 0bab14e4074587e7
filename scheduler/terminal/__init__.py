"""What a run shows in the terminal. Loads rich, which is why nothing imports it before there is something to show."""

from scheduler.terminal.bars import StageBars
from scheduler.terminal.summary import print_summary
from scheduler.terminal.table import final_table

__all__ = ["StageBars", "final_table", "print_summary"]
