"""``python -m scripts.official_proof PROTOCOL --official PATH --python PATH``: prints a row of a Markdown table."""

from __future__ import annotations

import argparse
import random
import tempfile
from importlib import import_module
from pathlib import Path

from scheduler.protocols.declaration import PROTOCOLS, Table, UnreadableReply
from scheduler.protocols.official import read_official
from scripts.official_proof.declaration import Place, Proof, copy_scripts
from scripts.official_proof.ours import ours
from scripts.official_proof.requests import differing
from scripts.official_proof.tables import record
from tests.openai_server import OpenAIServer

PROOFS = {
    **{name: f"{name}:PROOF" for name in ("gedit", "imgedit", "imgedit_uge", "kris", "risebench", "unicbench")},
    "risebench_first": "risebench:FIRST",
    "risebench_wo_ins": "risebench:WITHOUT_INSTRUCTION",
}
"""Where each proof is, in this package."""

_CLOSE = 1e-9
_SHOWN = 3


def main() -> int:
    """Prove it; 0 if nothing differs."""
    parser = argparse.ArgumentParser(prog="python -m scripts.official_proof", description=__doc__)
    parser.add_argument("proof", choices=PROOFS)
    parser.add_argument("--official", type=Path, required=True, help="the authors' checkout")
    parser.add_argument("--python", type=Path, required=True, help="an interpreter with what their scripts import")
    parser.add_argument("--fork", type=Path, help="a checkout of Bagel, whose fork adds up what the authors do not")
    parser.add_argument("--items", type=int, default=66)
    parser.add_argument("--replies", type=int, default=20_000, help="random replies that both sides read")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the scores and the authors' numbers there")
    options = parser.parse_args()
    proof = proof_named(options.proof)
    with tempfile.TemporaryDirectory(prefix="official-proof-") as folder, OpenAIServer(answer=proof.answer) as server:
        place = Place(
            folder=Path(folder),
            official=options.official.resolve(),
            python=options.python.absolute(),
            base_url=server.base_url,
            items=options.items,
            fork=options.fork and options.fork.resolve(),
        )
        return prove(proof, place, server, options.replies, options.record)


def proof_named(name: str) -> Proof:
    """Return the proof of this name."""
    module, _, attribute = PROOFS[name].partition(":")
    proof: Proof = getattr(import_module(f"scripts.official_proof.{module}"), attribute)
    return proof


def prove(proof: Proof, place: Place, server: OpenAIServer, replies: int, table: Path | None) -> int:
    """Run both sides, and print what is equal and what is not."""
    texts = read_official(place.official, PROTOCOLS.get(proof.protocol).official)
    copy_scripts(place, proof)
    proof.make(place)
    their_numbers = proof.theirs(place)
    their_requests, start = list(server.requests), len(server.requests)
    our_numbers = {
        name: value
        for name, value in ours(place, proof).items()
        # The authors have no row of what has no item, nor anything corrected.
        if not (value is None and name not in their_numbers) and not name.endswith("_corrected")
    }
    our_requests = server.requests[start:]
    if table is not None:
        record(table, place, texts.commit, their_numbers)
    only = differing(their_requests, our_requests)
    for side, requests in zip(("authors", "warmbench"), only, strict=True):
        for request in requests[:_SHOWN]:
            print(f"only by {side}: {request}")
    names = sorted({*their_numbers, *our_numbers})
    wrong = [name for name in names if not _close(their_numbers.get(name), our_numbers.get(name))]
    for name in wrong[:_SHOWN]:
        print(f"{name}: {their_numbers.get(name)} by the authors, {our_numbers.get(name)} by warmbench")
    read, unlike = _compare_readings(proof, place, replies)
    row = (
        proof.protocol,
        texts.commit or "unknown",
        f"{len(their_requests) - len(only[0])} of {len(their_requests)}",
        f"{len(names) - len(wrong)} of {len(names)}",
        f"{read - unlike} of {read}",
        "; ".join(proof.differences) or "none",
    )
    print("| protocol | commit | requests equal | numbers equal | replies read alike | differences |")
    print("|---|---|---|---|---|---|")
    print(f"| {' | '.join(row)} |")
    return 1 if any(only) or wrong or unlike else 0


def _close(theirs: float | None, ours: float | None) -> bool:
    return theirs is not None and ours is not None and abs(theirs - ours) <= _CLOSE


def _compare_readings(proof: Proof, place: Place, count: int) -> tuple[int, int]:
    """Return how many replies were compared, and how many of them were read otherwise."""
    chance = random.Random(0)  # noqa: S311 - not a secret
    rules = PROTOCOLS.get(proof.protocol).make(Table({}, 1), None)
    unlike = 0
    for kind in proof.replies:
        replies = [kind.draw(chance) for _ in range(count)]
        for reply, theirs in zip(replies, kind.theirs(place, replies), strict=True):
            try:
                found = dict(rules.read(kind.item, kind.question, reply))
            except UnreadableReply:
                found = {}
            if {name: found.get(name) for name in theirs or ()} != dict(theirs or {}) or (found and theirs is None):
                unlike += 1
                if unlike <= _SHOWN:
                    print(f"{reply!r} is read as {theirs} by the authors, as {found} by warmbench")
    return count * len(proof.replies), unlike


if __name__ == "__main__":
    raise SystemExit(main())
