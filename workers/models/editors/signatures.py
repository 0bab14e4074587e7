"""What the pipeline classes of the installed diffusers take, read from its source files: nothing of it is imported."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from workers.models.editors.pipeline_facts import NEEDED_PACKAGES

IMAGE_ARGUMENTS = ("image", "images", "input_images")
"""What source images are called, by class."""

_BASE = "DiffusionPipeline"


@dataclass(frozen=True)
class Signature:
    """The arguments of a pipeline's ``__call__`` by name, with their defaults.

    A default that is no literal is its source text, as is ``1024**2``.
    """

    pipeline: str
    arguments: Mapping[str, Any] = field(hash=False)

    def __contains__(self, name: object) -> bool:
        return name in self.arguments

    @property
    def image(self) -> str | None:
        """The argument for source images; None if the pipeline takes none, and so does not edit."""
        return next((name for name in IMAGE_ARGUMENTS if name in self.arguments), None)


@cache
def signature_of(pipeline: str) -> Signature | None:
    """The signature of a pipeline class that diffusers exports; None if it exports none of this name.

    Without diffusers in this environment there is none either.
    """
    source = class_source("pipelines", pipeline)
    if source is None:
        return None
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    call = _call(pipeline, classes)
    return None if call is None else Signature(pipeline, _arguments(call))


def class_source(folder: str, name: str) -> str | None:
    """The source of the file below this folder of diffusers that has a class which diffusers exports; None if it
    exports none of this name.
    """
    package = _package()
    if package is None or not name.isidentifier():
        return None
    if f'"{name}"' not in (package / "__init__.py").read_text(encoding="utf-8"):
        return None
    texts = (path.read_text(encoding="utf-8") for path in sorted((package / folder).rglob("*.py")))
    return next((text for text in texts if f"\nclass {name}(" in text), None)


def diffusers_is_installed() -> bool:
    """Whether this environment has diffusers, so that a class without a signature is none of its own."""
    return _package() is not None


def missing_package(pipeline: str) -> str | None:
    """The package that a pipeline class needs beside diffusers, if this environment lacks it."""
    package = NEEDED_PACKAGES.get(pipeline)
    return package if package is not None and importlib.util.find_spec(package) is None else None


def _package() -> Path | None:
    spec = importlib.util.find_spec("diffusers")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _call(name: str, classes: Mapping[str, ast.ClassDef]) -> ast.FunctionDef | None:
    """The ``__call__`` of a pipeline, its own or that of a base in the same file."""
    node = classes.get(name)
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)] if node else []
    if node is None or not (_BASE in bases or any(base in classes for base in bases)):
        return None
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__call__":
            return part
    return next((call for base in bases if (call := _call(base, classes)) is not None), None)


def _arguments(call: ast.FunctionDef) -> dict[str, Any]:
    given = [*call.args.posonlyargs, *call.args.args][1:]
    padding = [None] * (len(given) - len(call.args.defaults))
    pairs = [*zip(given, [*padding, *call.args.defaults], strict=True)]
    pairs += zip(call.args.kwonlyargs, call.args.kw_defaults, strict=True)
    return {argument.arg: _literal(default) for argument, default in pairs}


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
