"""``warmbench workers``: starts, shows or stops a pool, hands out its keys, or joins one, without a run."""

from __future__ import annotations

import argparse
import os
import sys

from scheduler.commands.arguments import given, path
from workers.join_options import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("start", "launch the pool, show each load, return when all workers are ready"),
        ("status", "show the state of every worker"),
        ("stop", "end the pool when its workers have finished their current work"),
        ("keys", "list the keys of a pool with transport tcp, make one, or take one back"),
    ):
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        pool = "the pool's name, if it is not the config's" + (" (or tcp://HOST:PORT)" if name in _REMOTE else "")
        action.add_argument("--config", type=path, required=name == "start", metavar="FILE", help="the pool's config")
        action.add_argument("--pool", type=given, metavar="NAME", help=pool)
        action.set_defaults(action=name)
        if name in _REMOTE:
            add_key(action)
        if name == "start":
            action.add_argument("--foreground", action="store_true", help="stay, and stop the pool when interrupted")
        if name == "stop":
            action.add_argument("--now", action="store_true", help="do not wait for the workers' current work")
        if name == "keys":
            _add_keys_arguments(action)
    text = "become a worker of a pool whose launcher is on another machine"
    join = actions.add_parser("join", help=text, description=f"{text[0].upper()}{text[1:]}; works until the pool ends.")
    add_options(join)
    join.set_defaults(action="join")


_REMOTE = ("status", "stop")


def add_key(parser: argparse.ArgumentParser) -> None:
    """The key for a pool elsewhere."""
    text = "with --pool tcp://HOST:PORT: the file with your key, which `warmbench workers keys` makes there"
    parser.add_argument("--key", type=path, metavar="FILE", help=text)


def _add_keys_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--for", dest="use", choices=("run", "worker"), help="make a key: for runs, or for workers that join")
    add("--to", type=path, metavar="FILE", help="where the new key goes, a file that only its owner may read")
    add("--name", type=given, metavar="NAME", help="whose key it is; left out: the file's name without its ending")
    add("--take-back", type=given, metavar="NAME", help="admit this key no more")


def execute(options: argparse.Namespace) -> int:
    if options.action == "join":
        # The process becomes the worker, which imports nothing of the scheduler.
        command = [sys.executable, "-m", "workers", *options.given[1:]]
        os.execv(sys.executable, command)  # noqa: S606 - this very Python, without a shell
    if options.action == "keys":
        from scheduler.commands.pool_keys import execute_keys

        return execute_keys(options)
    from scheduler.commands.pool_actions import execute_action  # takes half a second, and --help does not need it

    return execute_action(options)
