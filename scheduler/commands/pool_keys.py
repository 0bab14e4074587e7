"""``warmbench workers keys``: who may use a pool over TCP, or become one of its workers."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from protocol.keys import OWN, KeyFileError, PoolKeys, Use
from protocol.pool import PoolError, check_name, pool_folder
from scheduler.base.text import one_line
from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import ConfigError
from scheduler.terminal.say import say

_USES: dict[str, Use] = {"run": "run", "worker": "join"}
_FOR: dict[Use, str] = {"run": "runs", "join": "workers that join"}


def execute_keys(options: argparse.Namespace) -> int:
    """List, make or take back keys of a pool of this user, which need not be up; return the exit code."""
    console = Console(highlight=False)
    try:
        problem = _problem(options)
        if problem is not None:
            print(problem, file=sys.stderr)
            return 2
        name = load_config(options.config, Overrides(pool_name=options.pool)).pool_name if options.config else None
        pool = name or check_name(options.pool)
        keys = PoolKeys(pool_folder(pool))
        keys.launcher_pair()
        if options.use is not None:
            holder = options.name or options.to.stem
            keys.hand_out(options.to, _USES[options.use], holder)
            say(console, f"{options.to}: the key of {holder} for {_FOR[_USES[options.use]]} of pool {pool}.")
            say(console, "Whoever has this file can use it: copy it by scp, and keep it to its owner (chmod 600).")
        elif options.take_back is not None:
            keys.take_back(options.take_back)
            say(console, f"The key of {options.take_back} is admitted no more.")
        else:
            _show(console, pool, keys)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except FileExistsError:
        print(f"{options.to} exists already: a key never replaces a file", file=sys.stderr)
        return 2
    except (KeyFileError, PoolError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.to or 'the keys'} can't be written: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _problem(options: argparse.Namespace) -> str | None:
    """What is wrong with the command line."""
    if options.config is None and options.pool is None:
        return "which pool? Give --pool NAME or --config FILE"
    if (options.use is None) != (options.to is None):
        return "a new key takes both --for run|worker and --to FILE"
    if options.name is not None and options.use is None:
        return "--name is for a new key: give --for and --to too"
    if options.use is not None and options.take_back is not None:
        return "--take-back and --for: one at a time"
    return None


def _show(console: Console, pool: str, keys: PoolKeys) -> None:
    say(console, f"Keys of pool {pool}:")
    for entry in keys.entries():
        owner = "this user on this machine" if entry.name == OWN else one_line(entry.name)
        say(console, f"  {owner}: for {_FOR[entry.use]}")
