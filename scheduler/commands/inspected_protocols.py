"""Which protocols judge some data, whether their official files are there, and what they would ask the judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from protocol.messages import ImagePart, ImageStep, Question
from scheduler.base.text import counted, one_line
from scheduler.benchmark.pairs import Benchmark, Pair
from scheduler.protocols.declaration import PROTOCOLS, ProtocolType
from scheduler.protocols.facts import facts_of
from scheduler.protocols.official import OfficialError, OfficialFiles, OfficialTexts, read_official
from scheduler.protocols.prepared import PreparedProtocol, suitable, table_of

_LEVELS_UP = 4


def protocols_for(
    benchmark: Benchmark, path: Path, official: Path | None
) -> list[tuple[ProtocolType, PreparedProtocol | OfficialError]]:
    """Return the protocols for data of this format, each ready to ask, or with the reason why it cannot."""
    types = [known for known in PROTOCOLS.all().values() if benchmark.format in known.formats]
    return [(known, _prepared(known, benchmark, path, official)) for known in types]


def judged_by(
    prepared: PreparedProtocol | OfficialError, benchmark: Benchmark
) -> tuple[PreparedProtocol | OfficialError, Benchmark]:
    """Return the protocol, or why it cannot judge, and the benchmark with what it cannot judge as bad pairs."""
    if isinstance(prepared, OfficialError):
        return prepared, benchmark
    try:
        return prepared, suitable(benchmark, prepared)
    except OfficialError as error:  # a text that another version of the files does not have
        return error, benchmark


def protocol_lines(
    known: ProtocolType, prepared: PreparedProtocol | OfficialError, benchmark: Benchmark
) -> Iterator[str]:
    """Yield what a protocol says of the data; safe for a terminal."""
    yield f"Protocol: {known.name}: {one_line(known.meaning.rstrip('.'))}"
    expected = known.items.get(benchmark.format)
    if expected is not None and expected != benchmark.items_in_file:
        yield f"Warning: the file has {counted(benchmark.items_in_file, 'item')}; the published one has {expected}"
    judge = known.judge_of(benchmark.format)
    yield f"Judge: {judge.models[0]}" + "".join(
        f", {name} {'left out' if value is None else value}" for name, value in judge.parameters.items()
    )
    if isinstance(prepared, OfficialError):
        yield f"Official files: {one_line(prepared)}"
        return
    commit = prepared.texts.commit
    yield f"Official files: {one_line(prepared.texts.folder)}" + (f", commit {commit[:7]}" if commit else "")
    yield from (f"Warning: {one_line(warning)}" for warning in prepared.warnings())
    if benchmark.pairs:
        yield from _question_lines(prepared, benchmark.pairs[0])


def _prepared(
    known: ProtocolType, benchmark: Benchmark, path: Path, official: Path | None
) -> PreparedProtocol | OfficialError:
    table = table_of(benchmark)
    try:
        texts = _official_texts(known.official_of(benchmark.format), path, official)
        return PreparedProtocol(known, table, texts, known.make(table, texts))
    except OfficialError as error:
        return error


def _official_texts(files: OfficialFiles, path: Path, official: Path | None) -> OfficialTexts:
    """Return the official files: of the given folder, or of a checkout beside the data or in the working directory."""
    if official is not None:
        return read_official(official, files)
    name = PurePosixPath(files.repository).name.removesuffix(".git")
    above = [path.absolute(), *path.absolute().parents][: _LEVELS_UP + 1]
    for folder in (*above, *(folder / name for folder in above), Path.cwd() / name):
        if all((folder / file).is_file() for file in files.paths):
            return read_official(folder, files)
    return read_official(None, files)


def _question_lines(prepared: PreparedProtocol, pair: Pair) -> Iterator[str]:
    item = facts_of(pair)
    expected = prepared.rules.expected(item)
    yield f"About an edit of {one_line(pair.key)} the judge would be asked:"
    for question in prepared.rules.questions(item):
        yield f"  {question.name}, for {', '.join(expected[question.name])}:"
        yield from (f"    {line}" for line in _parts(question, pair))


def _parts(question: Question, pair: Pair) -> Iterator[str]:
    if question.system:
        yield "[system]"
        yield from _text(question.system)
    for part in question.parts:
        if isinstance(part, ImagePart):
            yield f"[image: {_image(part, pair)}]"
        else:
            yield "[text]"
            yield from _text(part.text)


def _text(text: str) -> Iterator[str]:
    return (f"  {one_line(line)}".rstrip() for line in text.splitlines())


def _image(part: ImagePart, pair: Pair) -> str:
    image = pair.images.get(part.image)
    size = "" if image is None else f", {image.size[0]} x {image.size[1]} pixels"
    return f"{part.image}{size}{_step(part.step)}"


def _step(step: ImageStep) -> str:
    words = ["as it is"] if step.encoding == "original" else []
    words += ["to RGB"] if step.rgb else []
    words += [f"resized to the size of {step.size_of}"] if step.size_of is not None else []
    words += [f"at most {step.longest_side} pixels a side"] if step.longest_side is not None else []
    words += [f"JPEG of quality {step.quality}"] if step.encoding == "jpeg" else []
    words += ["PNG"] if step.encoding == "png" else []
    return "".join(f", {word}" for word in words)
