"""Keys that a model declares: what may be written for each kind, and what of it reaches workers and identities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.checks.optimization_checks import refused_optimizations
from scheduler.config.document import Config
from scheduler.config.loading import Overrides
from scheduler.config.problems import Problem
from scheduler.config.requests import edit_identity_parameters, edit_parameters, editor_spec
from tests.plugin_packages import install
from tests.scheduler.config.written import load, only_problem, problems_of
from workers.models.declaration import Conflict, Key, ModelType, pick, with_keys
from workers.models.keys import EDITOR_KEYS, SHARED_EDITOR_KEYS
from workers.models.registry import EDITORS


def _strength_needs_a_mask(values: Any) -> Iterator[Conflict]:
    if values["strength"] > 1 and values["mask"] is None:
        yield Conflict((("strength",), ("mask",)), "is above 1 without a mask", "give one")


LATER = Key("gamma", "float", 1.0, "Later.", later=True)
DECLARATION = ModelType(
    name="paint",
    role="editor",
    meaning="Paints.",
    target="nowhere:Paint",
    keys=with_keys(
        SHARED_EDITOR_KEYS,
        Key("strength", "float", 0.5, "How much.", low=0, high=2),
        Key("colour", "choice", "red", "Which one.", choices=("red", "blue")),
        Key("mask", "path", None, "Where."),
        Key("layers", "list", ("base",), "Which ones.", "load", low=1, high=3),
        Key("sizes", "list", (8,), "How large.", item="int"),
        Key("brush", "mapping", None, "The brush.", keys=(Key("width", "int", 3, "Its width.", low=1, high=9),)),
        Key("extra", "mapping", None, "Anything.", "speed"),
        LATER,
        Key("palette", "text", "warm", "Later.", "load", later=True),
    ),
    rules=(_strength_needs_a_mask,),
)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings the editor, one that is broken, and one that is no editor."""
    entries = {
        "paint": f"{__name__}:DECLARATION",
        "broken": "no_such_module:DECLARATION",
        "qwen3_vl": "workers.models.rewards.qwen3_vl:DECLARATION",
    }
    assert "paint" not in EDITORS.names()
    monkeypatch.syspath_prepend(install(tmp_path / "site", "paint_package", "warmbench.editors", entries))
    monkeypatch.delitem(vars(EDITORS), "_entries")  # looked up again, and as before after the test


def config(folder: Path, params: str) -> Config:
    return load(folder, f"diffusion_model: {{type: paint, params: {{{params}}}}}\n")


@pytest.mark.parametrize(
    ("params", "key", "message"),
    [
        ("strength: 3", "strength", "must be 0 to 2, found 3"),
        ("colour: green", "colour", "must be one of red, blue, found 'green'"),
        ("mask: 5", "mask", "must be a path, found 5"),
        ("layers: []", "layers", "must have at least 1 entry, found []"),
        ("layers: [5]", "layers[0]", "must be text, found 5"),
        ("sizes: [a]", "sizes[0]", "must be a whole number, found 'a'"),
        ("brush: {width: 10}", "brush.width", "must be 1 to 9, found 10"),
        ("brush: {with: 1}", "brush.with", "unknown key (line 1); known here: width"),
        ("extra: [1]", "extra", "must be a mapping, found [1]"),
        ("extra: {a: .inf}", "extra", "must be finite, found inf"),
        ("strength: 1.5", "strength", "is above 1 without a mask"),
        ("num_inference_steps: 4", "num_inference_steps", "unknown key (line 1); known here: model_name, seed"),
    ],
)
def test_each_mistake_in_a_declared_key_is_named(tmp_path: Path, params: str, key: str, message: str) -> None:
    problem = only_problem(tmp_path, f"diffusion_model: {{type: paint, params: {{{params}}}}}\n")
    assert problem.path == f"diffusion_model.params.{key}"
    assert problem.message.startswith(message)


def test_a_key_reaches_the_model_or_the_work_as_it_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = config(tmp_path, "mask: m.png, brush: {width: 3}, extra: {a: [1]}, strength: 1.5, python: /p, gamma: 2.0")
    assert editor_spec(asked).params == {"threads_per_worker": 1, "layers": ["base"]}
    decisive = {
        "strength": 1.5,
        "colour": "red",
        "mask": str(tmp_path / "m.png"),
        "sizes": [8],
        "brush": {},
        "gamma": 2.0,
    }
    assert edit_parameters(asked) == decisive | {"extra": {"a": [1]}}
    assert edit_identity_parameters(asked) == decisive


def test_a_later_key_enters_identities_and_specs_only_where_it_differs_from_its_default(tmp_path: Path) -> None:
    before, default = config(tmp_path, ""), config(tmp_path, "gamma: 1.0, palette: warm")
    changed = config(tmp_path, "gamma: 1.5, palette: cold")
    assert "gamma" in edit_parameters(before)
    assert "gamma" not in edit_identity_parameters(before)
    assert edit_identity_parameters(default) == edit_identity_parameters(before)
    assert editor_spec(default) == editor_spec(before)
    assert edit_identity_parameters(changed)["gamma"] == 1.5
    assert editor_spec(changed).params["palette"] == "cold"


def test_a_config_with_declared_keys_survives_being_written_and_read(tmp_path: Path) -> None:
    first = config(tmp_path, "mask: /m.png, brush: {width: 5}, extra: {a: {b: null}}, layers: [a, b]")
    assert load(tmp_path, first.as_resolved_yaml()) == first


def test_types_of_packages_are_among_those_that_there_are(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "diffusion_model: {type: pain}")
    assert "simulated, paint, multi_gpu_qwen_edit" in problem.message
    assert problem.hint == "did you mean `paint`?"


def test_a_plug_in_that_is_broken_is_named_with_its_package_and_the_reason(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "diffusion_model: {type: broken, params: {strength: 1}}")
    assert problem.path == "diffusion_model.type"
    assert "the package paint_package 1.2" in problem.message
    assert "No module named 'no_such_module'" in problem.message


def test_a_reward_that_is_registered_as_an_editor_is_none(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "diffusion_model: {type: qwen3_vl}")
    reason = "ValueError: it is declared as reward"
    assert problem.message == f"warmbench.editors: 'qwen3_vl' cannot be used: {reason} (line 1)"


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (Key("size", "int", 0, "Too small.", low=1), "Input should be greater than or equal to 1"),
        (Key("size", "integer", 1), "KeyError: 'integer'"),  # type: ignore[arg-type] # what a package may get wrong
        (Key("conflicts", "int", 1), "conflicts can't be the name of a key"),
    ],
)
def test_a_wrong_declaration_is_named_and_the_other_types_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Key, reason: str
) -> None:
    wrong = replace(DECLARATION, keys=(*SHARED_EDITOR_KEYS, key))
    monkeypatch.setattr(f"{__name__}.DECLARATION", wrong)
    monkeypatch.setattr(EDITORS, "_loaded", {})
    problem = only_problem(tmp_path, "diffusion_model: {type: paint}")
    assert problem.message.startswith("warmbench.editors: 'paint' cannot be used: ")
    assert reason in problem.message
    assert "there are qwen_image_edit, " in only_problem(tmp_path, "diffusion_model: {type: flux}").message


def _raises(values: Any) -> Iterator[Conflict]:
    yield Conflict((("strength",),), f"is beside {values['size']}")


@pytest.mark.parametrize(
    ("changes", "section"),
    [
        ({"rules": (_raises, _strength_needs_a_mask)}, "paint params"),
        ({"keys": (*DECLARATION.keys, Key("pen", "mapping", keys=(LATER,), rules=(_raises,)))}, "paint params.pen"),
    ],
)
def test_a_rule_that_raises_is_a_problem_of_the_type_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], section: str
) -> None:
    monkeypatch.setattr(f"{__name__}.DECLARATION", replace(DECLARATION, **changes))
    monkeypatch.setattr(EDITORS, "_loaded", {})
    problems = problems_of(tmp_path, "diffusion_model: {type: paint, params: {strength: 1.5}}")
    message = f"a rule of {section} failed: KeyError: 'size' (line 1)"
    assert Problem("diffusion_model.type", message) in problems
    assert {problem.path for problem in problems} == {"diffusion_model.type", "diffusion_model.params.strength"}


def test_an_editor_of_a_package_may_have_optimizations_without_guidance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = (*DECLARATION.keys, *pick(EDITOR_KEYS, "optimizations"))
    monkeypatch.setattr(f"{__name__}.DECLARATION", replace(DECLARATION, keys=keys))
    monkeypatch.setattr(EDITORS, "_loaded", {})
    (tmp_path / "site" / "cache_dit").mkdir()
    (tmp_path / "site" / "cache_dit" / "__init__.py").touch()
    asked = config(tmp_path, "optimizations: {cache_dit: true}")
    assert list(refused_optimizations(asked)) == []


def test_a_class_of_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    overrides = Overrides(data=tmp_path)
    (problem,) = problems_of(
        tmp_path, "diffusion_model: {type: paint}\nreward_model: {type: simulated}", overrides, Environment()
    )
    assert problem.path == "diffusion_model.type"
    assert problem.message == "there is no module nowhere (for nowhere.Paint) (line 1)"
