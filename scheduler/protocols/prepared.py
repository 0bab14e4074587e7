"""A protocol for one run: its rules over this data, with the official files, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from msgspec import Struct

from protocol.messages import Question, TextPart
from scheduler.base.text import counted
from scheduler.benchmark.pairs import BadPair, Benchmark, Pair
from scheduler.config.document import Config
from scheduler.config.problems import Problem, did_you_mean, listing, shown
from scheduler.protocols.declaration import PROTOCOLS, Protocol, ProtocolType, Table, UnsuitableItem
from scheduler.protocols.facts import facts_of
from scheduler.protocols.official import OfficialError, OfficialTexts, read_official
from workers.models.plugins import PluginError

_OFFICIAL = "benchmark.official"


class PreparedProtocol(Struct, frozen=True):
    """``rules`` ask, read and add up."""

    type: ProtocolType
    table: Table
    texts: OfficialTexts
    rules: Protocol

    @property
    def name(self) -> str:
        """The protocol's name."""
        return self.type.name

    @property
    def version(self) -> str:
        """The official files in words, for people."""
        if self.texts.commit is not None:
            return f"official files of commit {self.texts.commit[:7]} in {self.texts.folder}"
        return f"official files in {self.texts.folder}"

    def warnings(self) -> list[str]:
        """Return what speaks against comparing the numbers with published ones, as far as files show it."""
        files = self.type.official_of(self.table.format)
        deviation = files.deviation(self.texts.hashes, self.texts.folder)
        return [] if deviation is None else [deviation]


def table_of(benchmark: Benchmark) -> Table:
    """Return what a protocol knows of the data as a whole."""
    return Table(
        columns=benchmark.columns, items=benchmark.items_in_file, format=benchmark.format, kinds=benchmark.kinds
    )


def protocol_named(name: str) -> ProtocolType:
    """Return the protocol of this name; raises ``LookupError`` if there is none, or if its package is broken."""
    try:
        return PROTOCOLS.get(name)
    except PluginError as error:
        raise LookupError(str(error)) from error
    except KeyError:
        raise LookupError(
            f"there is no protocol {shown(name)}; known here: {listing(list(PROTOCOLS.names()))}"
        ) from None


def prepare_protocol(config: Config, benchmark: Benchmark) -> PreparedProtocol | list[Problem]:
    """Return the protocol that the config asks for, or every reason against it."""
    found = official_texts(config, benchmark.format)
    if isinstance(found, Problem) and found.path != _OFFICIAL:
        return [found]
    chosen = protocol_named(config.benchmark.protocol or "")
    problems = list(_mismatches(config, benchmark))
    if isinstance(found, Problem):
        return [*problems, found]
    table = table_of(benchmark)
    try:
        prepared = PreparedProtocol(chosen, table, found, chosen.make(table, found))
    except OfficialError as error:
        return [*problems, Problem(_OFFICIAL, str(error))]
    return problems or prepared


def official_texts(config: Config, format_name: str = "") -> OfficialTexts | Problem:
    """Return the official files of the protocol that the config asks for, or what is wrong; for data of this format, if
    it is known.
    """
    settings = config.benchmark
    try:
        return read_official(settings.official, protocol_named(settings.protocol or "").official_of(format_name))
    except LookupError as error:
        return Problem("benchmark.protocol", str(error), did_you_mean(settings.protocol or "", PROTOCOLS.names()))
    except OfficialError as error:
        return Problem(_OFFICIAL, str(error))


def unsuitable_format(config: Config, format_name: str) -> Problem | None:
    """Return what is wrong if the protocol that the config asks for does not judge data of this format."""
    settings = config.benchmark
    try:
        formats = protocol_named(settings.protocol).formats if settings.protocol is not None else (format_name,)
    except LookupError:  # which is a problem of its own
        return None
    if format_name in formats:
        return None
    message = f"{settings.protocol} judges data of the format {' or '.join(formats)}"
    hint = f"with `benchmark.format: {formats[0]}`, what the data lacks is named"
    return Problem("benchmark.protocol", f"{message}; {settings.data_path} is of the format {format_name}", hint)


def _mismatches(config: Config, benchmark: Benchmark) -> Iterator[Problem]:
    if (problem := unsuitable_format(config, benchmark.format)) is not None:
        yield problem
    section = config.reward_model
    if not section.declaration.answers_questions:
        hint = "take one that does, such as openai or qwen3_vl"
        yield Problem("reward_model.type", f"{section.declaration.name} does not answer a protocol's questions", hint)
    if dict(section.params).get("scoring") == "logits":
        message = "logits gives no reply, and a protocol reads replies"
        yield Problem("reward_model.params.scoring", message, "write `scoring: generate`, or leave out the protocol")


def with_prescribed(config: Config, chosen: ProtocolType) -> Config:
    """Return the config with the prescribed judge's parameters where it sets none, and the protocol's scale."""
    params = config.reward_model.params
    fields = type(params).model_fields
    update: dict[str, Any] = {
        name: value
        for name, value in chosen.judge.parameters.items()
        if name in fields
        and name not in params.model_fields_set
        # A judge that has no null there keeps its own default.
        and (value is not None or type(None) in get_args(fields[name].annotation))
    }
    update["score_range"] = chosen.scale
    section = config.reward_model.model_copy(update={"params": params.model_copy(update=update)})
    return replace(config, reward_model=section)


def suitable(benchmark: Benchmark, protocol: PreparedProtocol) -> Benchmark:
    """Return the benchmark with each pair that the protocol cannot judge as a bad one; raises ``OfficialError``."""
    good: list[Pair] = []
    bad: list[BadPair] = []
    for pair in benchmark.pairs:
        try:
            _check_texts(protocol.rules.questions(facts_of(pair)))
        except UnsuitableItem as error:
            reason = f"{protocol.name} cannot judge it: {error}"
            texts = pair.instruction, pair.description, pair.source
            bad.append(BadPair(pair.index, pair.category, pair.pair_id, "bad_field", reason, *texts))
        else:
            good.append(pair)
    if not bad:
        return benchmark
    warning = f"{counted(len(bad), 'pair')} cannot be judged by {protocol.name}"
    everything = tuple(sorted((*benchmark.bad, *bad), key=lambda pair: pair.index))
    return replace(benchmark, pairs=tuple(good), bad=everything, warnings=(*benchmark.warnings, warning))


def _check_texts(questions: Sequence[Question]) -> None:
    for question in questions:
        for text in (question.system, *(part.text for part in question.parts if isinstance(part, TextPart))):
            try:
                text.encode()
            except UnicodeEncodeError as error:  # Python and JSON can write half of a surrogate pair
                raise OfficialError(f"the prompt of {question.name} cannot be sent: {error.reason}") from error
