"""The sections that do not depend on which models are used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from scheduler.config.problems import shown
from scheduler.config.values import CategoryName, CountOrFraction, FilePath, Section
from workers.models.declaration import Conflict

Metric = Literal["mean", "std", "median", "min", "max", "ci95"]


def _twice(values: tuple[str, ...]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})


FieldList = Annotated[tuple[str, ...], Field(strict=False, max_length=100)]


class FieldsSection(Section):
    """The names of the fields in data of no benchmark's own format."""

    id: str | None = Field(
        None, description="The id; left out: `id`, `pair_id`, `key` or `index`, else the row's number."
    )
    category: str | None = Field(
        None, description="The category; left out: `category`, `edit_type` or `task_type`, else all pairs are in `all`."
    )
    instruction: str | None = Field(
        None, description="The instruction; left out: `instruction`, `edit_instruction` or `prompt`."
    )
    image: str | None = Field(
        None,
        description="The source image: a path, base64, or an image in the table; left out: `image`, `source_image`, "
        "`input_image`, `image_path`, `file_name` or `original_image_b64`.",
    )
    sources: FieldList = Field((), description="Further source images, in their order.")
    reference_image: str | None = Field(None, description="An image that shows what is to be made.")
    ground_truth: str | None = Field(None, description="The edit as it should be.")
    mask: str | None = Field(None, description="The part of the image that may change.")
    description: str | None = Field(None, description="A text that describes the source image.")
    reference: str | None = Field(None, description="A text that says what the edit should show.")
    task: str | None = Field(None, description="The kind of edit.")
    facts: FieldList = Field((), description="Further fields, for a protocol of a plug-in.")


class BenchmarkSection(Section):
    """What is evaluated."""

    purpose: ClassVar[str] = "What is evaluated: the data, and how much of it."

    data_path: FilePath | None = Field(None, description="The file or folder of the data; here or as `--data`.")
    format: str | None = Field(None, description="One of `warmbench list formats`; left out: detected.")
    fields: FieldsSection | None = Field(
        None,
        description="The names of the fields, in data of a general format: `jsonl`, `imagefolder`, `parquet`, `arrow`.",
    )
    categories: Annotated[tuple[CategoryName, ...], Field(strict=False, min_length=1, max_length=10_000)] | None = (
        Field(None, description="The categories to evaluate; left out: all that the data has.")
    )
    protocol: str | None = Field(
        None,
        description="How a public benchmark is judged, as its authors do it: one of `warmbench list protocols`. Then "
        "`prompts` must be left out.",
    )
    official: FilePath | None = Field(
        None, description="The folder of the benchmark's own code, from which a protocol reads its prompts."
    )
    language: Literal["en", "cn"] | None = Field(
        None, description="The language of the instructions, where the data has several; left out: see the format."
    )
    subset: Literal["full", "intersection"] | None = Field(
        None, description="A part of the data, where it names one; left out: all of it."
    )
    limit: int | None = Field(None, ge=1, le=10**9, description="The first N pairs of each category; left out: all.")

    def conflicts(self) -> Iterator[Conflict]:
        for name in _twice(self.categories or ()):
            yield Conflict((("categories",),), f"{shown(name)} is there twice", "remove one of the two")
        if self.official is not None and self.protocol is None:
            message = "is given without `protocol`"
            yield Conflict((("official",), ("protocol",)), message, "say by which protocol the edits are judged")


class EvaluationSection(Section):
    """What is reported, and where it goes."""

    purpose: ClassVar[str] = "What is reported, and where it goes."

    metrics: Annotated[tuple[Metric, ...], Field(strict=False, min_length=1)] = Field(
        ("mean", "std", "median", "min", "max"), description="The statistics that the tables show."
    )
    output_dir: FilePath = Field(Path("outputs"), description="Where reports, logs and runs go.")
    save_generated_images: bool = Field(False, description="Keep the edits; false: each is removed once it is scored.")
    image_output_dir: FilePath | None = Field(None, description="Where edits go; left out: into the run's own folder.")
    samples_per_pair: int = Field(1, ge=1, le=1000, description="Edits per pair, each with a seed of its own.")
    reward_passes: int = Field(1, ge=1, le=1000, description="How often each edit is scored; scores are averaged.")

    def conflicts(self) -> Iterator[Conflict]:
        for name in _twice(self.metrics):
            yield Conflict((("metrics",),), f"{name} is there twice", "remove one of the two")


class LoggingSection(Section):
    """What the log holds."""

    purpose: ClassVar[str] = "The log: how much, and where."

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least that is logged.")
    save_to_file: bool = Field(True, description="Write a log file beside the terminal's output.")
    log_dir: FilePath | None = Field(
        None,
        description="Where log files go; left out: `<output_dir>/logs`. Within `output_dir` it follows `--output-dir`.",
    )


class SchedulerSection(Section):
    """How a run works."""

    purpose: ClassVar[str] = "How a run works, and its time limits."

    residency: Literal["auto", "resident", "swap"] = Field(
        "auto",
        description="`resident`: editors and rewards stay loaded, work at once; `swap`: edit all, switch, score all; "
        "`auto`: swap if a device is shared.",
    )
    round_size: int = Field(1, ge=1, le=1000, description="Pairs per editor and round.")
    max_failures: CountOrFraction | None = Field(
        None,
        description="Abort after more than N failed pairs: a count (5) or a fraction (0.05); left out: never. Pairs "
        "that were bad before the run do not count.",
    )
    max_attempts: int = Field(3, ge=1, le=100, description="Starts per pair and stage that may end in its own error.")
    heartbeat_seconds: float = Field(1.0, ge=0.01, le=3600, description="Seconds between heartbeats of every process.")
    dead_after_seconds: float = Field(
        10.0, ge=0.02, le=86_400, description="Seconds without a heartbeat after which a process counts as dead."
    )
    job_timeout_seconds: float = Field(
        600.0, ge=0.1, le=86_400, description="Seconds without progress after which a worker counts as hung."
    )
    load_timeout_seconds: float = Field(
        1800.0,
        ge=0.1,
        le=86_400,
        description="Seconds of loading, or of a download without a new byte, after which a worker counts as hung.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.dead_after_seconds < 2 * self.heartbeat_seconds:
            message = f"{self.dead_after_seconds:g} is less than two heartbeats ({self.heartbeat_seconds:g} s each)"
            yield Conflict(
                (("dead_after_seconds",), ("heartbeat_seconds",)), message, "healthy workers would count as dead"
            )
