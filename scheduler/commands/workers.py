"""``warmbench workers``: starts, shows or stops a pool, without a run."""

from __future__ import annotations

import argparse

from scheduler.commands.arguments import given, path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("start", "launch the pool, show each load, return when all workers are ready"),
        ("status", "show the state of every worker"),
        ("stop", "end the pool when its workers have finished their current work"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--config", type=path, required=True, metavar="FILE", help="the pool's config")
        action.add_argument("--pool", type=given, metavar="NAME", help="the pool's name, if it is not the config's")
        action.set_defaults(action=name)
        if name == "start":
            action.add_argument("--foreground", action="store_true", help="stay, and stop the pool when interrupted")
        if name == "stop":
            action.add_argument("--now", action="store_true", help="do not wait for the workers' current work")


def execute(options: argparse.Namespace) -> int:
    from scheduler.commands.pool_actions import execute_action  # takes half a second, and --help does not need it

    return execute_action(options)
