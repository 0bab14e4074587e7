"""``python -m tests.chaos COMMAND``: runs, replay, kills, flood, soak."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE = """usage: python -m tests.chaos COMMAND [options]

  runs    seeded runs with faults at every stage, each audited: --seeds N --first N --jobs N
  replay  one of those seeds again, told in full: SEED [--keep]
  kills   the scheduler is killed at random moments and resumed, the report compared: --moments N --seed N
  flood   strangers that send what they like
  soak    many runs on one pool, for leaks"""


def main(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name."""
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    match command:
        case "runs":
            from tests.chaos.runs import runs

            return runs(rest)
        case "replay":
            from tests.chaos.runs import replay

            return replay(rest)
        case "kills":
            from tests.chaos.kills import main as kills

            return kills(rest)
        case "flood":
            from tests.chaos.flood import main as flood

            return flood(rest)
        case "soak":
            from tests.chaos.soak import main as soak

            return soak(rest)
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
