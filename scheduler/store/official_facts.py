"""What a manifest says about the protocol of its run, under ``official``: written by the run, read by its report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from scheduler.benchmark import Benchmark
from scheduler.protocols.declaration import Table

if TYPE_CHECKING:  # they import pydantic, and what reads a run does not need it
    from scheduler.config.document import Config
    from scheduler.protocols.prepared import PreparedProtocol


_DECISIVE = ("scoring", "reply_format", "parameters")
"""Keys of rewards that change what is asked of a judge, or how its reply is read."""


class JudgeFacts(Struct, frozen=True, kw_only=True):
    """The judge that a run asks, and the one that the authors prescribe.

    ``type`` and ``model`` are the reward's. ``models`` are the names that count as the prescribed judge. ``prescribed``
    are its parameters, null for one that the authors leave out of their requests. ``parameters`` are those that this
    run's reward has, of the prescribed ones and of those that change what is asked or read; a parameter that its type
    lacks is not in it.
    """

    type: str
    model: str | None
    models: tuple[str, ...] = ()
    prescribed: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)


class OfficialFacts(Struct, frozen=True, kw_only=True):
    """Which protocol judges a run, in which version, and how much of the benchmark the run evaluates.

    ``version`` names the official files. ``commit`` is that of their checkout, null without one or if they differ from
    it; ``tried_commit`` the one that the protocol was tried with and whose files these are, null if it is none.
    ``table`` is what a ``Protocol`` is made with. ``full_items`` is the number of items of the full benchmark in this
    format and language, null if the protocol does not say. ``all_sources``: no editor of the run gets only the first
    source image of an item.
    """

    protocol: str
    version: str
    files: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    tried_commit: str | None = None
    table: Table
    judge: JudgeFacts
    language: str | None = None
    subset: str | None = None
    limit: int | None = None
    categories: tuple[str, ...] | None = None
    shard: str | None = None
    full_items: int | None = None
    all_sources: bool = True


def official_facts(manifest: Mapping[str, Any]) -> OfficialFacts | None:
    """Return what the manifest says; None without a protocol, or if it does not have this version's form."""
    block = manifest.get("official")
    if not isinstance(block, Mapping):
        return None
    try:
        return msgspec.convert(block, OfficialFacts)
    except msgspec.ValidationError:
        return None


def facts_of_run(
    config: Config, benchmark: Benchmark, protocol: PreparedProtocol, *, made_elsewhere: bool = False
) -> OfficialFacts:
    """Return the facts of a run that begins. Of edits that were ``made_elsewhere`` the editor is not known."""
    from scheduler.config.requests import takes_all_sources  # imports pydantic, see above

    settings, chosen, texts, section = config.benchmark, protocol.type, protocol.texts, config.reward_model
    params = dict(section.params)
    judge = chosen.judge_of(benchmark.format)
    by_language = chosen.items.get(f"{benchmark.format}/{settings.language}")
    return OfficialFacts(
        protocol=chosen.name,
        version=texts.tried_commit or texts.commit or _digest(texts.hashes),
        files=dict(texts.hashes),
        commit=texts.commit,
        tried_commit=texts.tried_commit,
        table=protocol.table,
        judge=JudgeFacts(
            type=section.type or section.class_path or "",
            model=section.params.model_name,
            models=judge.models,
            prescribed=dict(judge.parameters),
            parameters={
                name: params[name]
                for name in (*judge.parameters, *_DECISIVE)
                if name in params and (name in judge.parameters or params[name] is not None)
            },
        ),
        language=settings.language,
        subset=settings.subset,
        limit=settings.limit,
        categories=settings.categories,
        shard=str(benchmark.shard) if benchmark.shard else None,
        full_items=by_language or chosen.items.get(benchmark.format),
        all_sources=made_elsewhere or takes_all_sources(config),
    )


def _digest(hashes: Mapping[str, str]) -> str:
    """A name for files of no known commit."""
    return hashlib.sha256(
        "".join(f"{path}\0{sha256}\n" for path, sha256 in sorted(hashes.items())).encode()
    ).hexdigest()
