"""Checks the parameters of editors of diffusers against the pipeline's files, as far as these are there to tell.

Neither torch nor diffusers is imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.config.checks.model_lookup import model_file
from scheduler.config.models import ModelSection
from workers.models.editors.class_options import lacking
from workers.models.editors.pipeline_arguments import Refusal, arguments_of, refusals
from workers.models.editors.pipeline_facts import CheckpointFacts, checkpoint_facts, preset_of
from workers.models.editors.signatures import diffusers_is_installed, missing_package, signature_of
from workers.models.editors.trained_transformer import denoiser_class, denoiser_name, unfit_transformer

_TYPE = "diffusers"


def refused_transformer(section: ModelSection) -> str | None:
    """Why the transformer that was trained alone cannot replace that of the model; None if it can, or there is none."""
    trained = _trained(section)
    base = None if trained is None else _base(section)
    return None if trained is None or base is None else unfit_transformer(base, trained)


def lacking_option(section: ModelSection, option: str) -> str | None:
    """Why the classes of the model do not have an optimization; None if they may."""
    facts = _facts(section)
    base = None if facts is None else _base(section)
    denoiser = None if base is None else denoiser_class(base)
    return None if facts is None or denoiser is None else lacking(option, facts.pipeline, denoiser)


def refused_arguments(section: ModelSection) -> list[Refusal]:
    """The parameters that the pipeline lacks or ignores; empty if its files are not here to tell yet."""
    facts = _facts(section)
    if facts is None or section.has_environment or not diffusers_is_installed():
        return []
    signature = signature_of(facts.pipeline)
    if signature is None:
        message = f"the model is a {facts.pipeline}, which is no pipeline class of the installed diffusers"
        return [Refusal(("model_name",), message, "code from a model's folder is never run; see own-models.md")]
    found = list(refusals(signature, facts, dict(section.params)))
    if not found and (package := missing_package(facts.pipeline)) is not None:
        message = f"the model is a {facts.pipeline}, which needs the package {package}: it is not installed here"
        return [Refusal(("model_name",), message, f"pip install {package}")]
    return found


def preset_facts(section: ModelSection) -> dict[str, Any] | None:
    """The pipeline class, the arguments that every edit gets and the preset's source; None if they are not known."""
    facts = _facts(section)
    signature = signature_of(facts.pipeline) if facts is not None else None
    if facts is None or signature is None:
        return None
    params = dict(section.params)
    preset = preset_of(facts) if params["preset"] != "none" else None
    return {
        "pipeline": facts.pipeline,
        "arguments": arguments_of(signature, facts, params),
        "preset": None if preset is None else {"arguments": dict(preset.arguments), "source": preset.source},
    }


def _facts(section: ModelSection) -> CheckpointFacts | None:
    name = section.params.model_name
    if section.type != _TYPE or section.class_path is not None or not name:
        return None
    trained, base = _trained(section), _base(section)
    replaced = denoiser_name(base) if trained is not None and base is not None else None

    def read(file: str) -> Mapping[str, Any] | None:
        component, _, inner = file.partition("/")
        try:
            path = trained / inner if trained is not None and component == replaced else model_file(name, file)
            content = None if path is None else json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # other checks report what is wrong with the files
        return content if isinstance(content, dict) else None

    return checkpoint_facts(read)


def _trained(section: ModelSection) -> Path | None:
    """The folder of the transformer that was trained alone."""
    key = section.declaration.key("transformer_path")
    if section.class_path is not None or key is None or key.affects != "load":
        return None
    path = dict(section.params)[key.name]
    return None if path is None else Path(path).expanduser().absolute()


def _base(section: ModelSection) -> Path | None:
    """The folder of the pipeline, if it is here."""
    name = section.params.model_name
    entry = model_file(name, "model_index.json") if name else None
    return entry.parent if entry is not None and entry.is_file() else None
