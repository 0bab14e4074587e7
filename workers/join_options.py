"""The options of ``workers join``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from protocol.plan import port_range


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("endpoint", metavar="tcp://HOST:PORT", help="where the pool's launcher listens")
    parser.add_argument("--key", type=Path, required=True, help="a key file for workers: `warmbench workers keys`")
    parser.add_argument("--role", choices=("editor", "reward"), required=True)
    parser.add_argument(
        "--device",
        type=_device,
        metavar="cuda|cpu",
        help="cuda, cpu, or the GPUs of one model, such as cuda:0+1; left out: cuda if CUDA_VISIBLE_DEVICES names a "
        "GPU",
    )
    parser.add_argument("--address", help="the address of this machine to listen on; left out: as the launcher sees it")
    parser.add_argument("--ports", metavar="A-B", type=_range, help="the ports to listen on; left out: any")
    # Given by a pool's own placer:
    parser.add_argument("--worker-id", help=argparse.SUPPRESS)
    parser.add_argument("--incarnation", help=argparse.SUPPRESS)
    parser.add_argument("--give-up-after", type=float, metavar="SECONDS", help=argparse.SUPPRESS)


def _device(text: str) -> str:
    if text not in ("cuda", "cpu") and not re.fullmatch(r"cuda:\d{1,3}(\+\d{1,3}){0,7}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not cuda, cuda:N, cuda:0+1 or cpu")
    return "cuda:0" if text == "cuda" else text


def _range(text: str) -> tuple[int, int]:
    try:
        return port_range(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run_joined(options: argparse.Namespace) -> int:
    """Join and work; return the exit code."""
    from workers.joining import run_joined as run

    return run(options)
