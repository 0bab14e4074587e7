"""Checks that a class of the user's own exists, without importing it: that could import torch, or do anything."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from scheduler.config.problems import did_you_mean


def missing_class(class_path: str) -> tuple[str, str | None] | None:
    """Return why ``package.module.Class`` can't be imported from the working directory, and a hint; None if it can."""
    module_name, _, class_name = class_path.rpartition(".")
    search: list[str] | None = [str(Path.cwd()), *sys.path]
    spec: ModuleSpec | None = None
    parts = module_name.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        spec = PathFinder.find_spec(name, search)
        if spec is None and depth == 1:
            # An editable installation brings a finder of its own. Finding a top-level module imports nothing.
            spec = find_spec(name)
        if spec is None:
            return f"there is no module {name}", "it must be importable from the working directory, or installed"
        search = list(spec.submodule_search_locations or ())
    names = _top_level_names(spec)
    if names is not None and class_name not in names:
        return f"the module {module_name} has no {class_name}", did_you_mean(class_name, names)
    return None


def _top_level_names(spec: ModuleSpec | None) -> set[str] | None:
    """The names that the source of a module binds; None if only running it could tell."""
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            return None
    return None if "*" in names else names
