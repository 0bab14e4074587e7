"""The audit finds each kind of mistake that is planted into the folder of a good run."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.audit import Case, audit
from tests.chaos.dataset import Item, draw_items, write_items
from tests.chaos.standing import Unit
from tests.harness import new_user
from workers.models.simulation import Simulation

Row = dict[str, Any]


@dataclass(frozen=True)
class Good:
    """A run that ended well but for the pairs that could not: ``case`` is what was asked of it."""

    case: Case
    output: Path
    code: int

    @property
    def run(self) -> Path:
        (found,) = (self.output / "runs").iterdir()
        return found

    def findings(self, case: Case | None = None, code: int | None = None) -> list[str]:
        return [str(found) for found in audit(case or self.case, self.run, self.output, code or self.code)]

    def kinds(self) -> set[str]:
        return {found.partition(":")[0] for found in self.findings()}

    # -- planting

    def rows(self) -> list[Row]:
        return [json.loads(line) for line in (self.run / "results.jsonl").read_text(encoding="utf-8").splitlines()]

    def write_rows(self, rows: list[Row]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.run / "results.jsonl").write_text(text, encoding="utf-8")

    def change_report(self, change: Callable[[dict[str, Any]], object]) -> None:
        path = self.output / f"evaluation_report_{self.run.name}.json"
        report = json.loads(path.read_text(encoding="utf-8"))
        change(report)
        path.write_text(json.dumps(report), encoding="utf-8")

    def images(self) -> list[Path]:
        return sorted(self.run.glob("images*/*/*.png"))


def failing(items: tuple[Item, ...]) -> str:
    return next(item.key for item in items if item.bad is None)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Good:
    folder = tmp_path_factory.mktemp("audited")
    items = draw_items(random.Random(3), 12, "t")  # noqa: S311 - the same data every time
    bad = [item.bad for item in items if item.bad]
    assert bad, "the data have bad pairs, too"
    faults = {"oom": [failing(items)]}
    with new_user(folder) as user:
        config = user.simulated(
            write_items(folder / "data.json", items),
            editor={"latency_ms": 1, "faults": faults},
            reward={"latency_ms": 1},
            evaluation={"save_generated_images": True, "samples_per_pair": 2, "reward_passes": 2},
        )
        result = user.run_config(config)
        assert result.code == 3, result.output
    editor = Simulation(faults={"oom": [failing(items)]})
    return Good(Case(items=items, samples=2, passes=2, editor=editor), folder / "outputs", result.code)


@pytest.fixture
def good(original: Good, tmp_path: Path) -> Good:
    """A copy to spoil."""
    shutil.copytree(original.output, tmp_path / "outputs")
    return Good(original.case, tmp_path / "outputs", original.code)


def of(rows: list[Row], event: str) -> list[Row]:
    return [row for row in rows if row["event"] == event]


def test_a_good_run_is_found_good(good: Good) -> None:
    assert good.findings() == []


# -- losses


@pytest.mark.parametrize("event", ["edited", "scored", "failed"])
def test_a_row_that_is_gone_is_a_loss(good: Good, event: str) -> None:
    rows = good.rows()
    rows.remove(of(rows, event)[-1])
    good.write_rows(rows)
    assert "lost" in good.kinds()


def test_a_pair_that_is_gone_from_the_report_is_a_loss(good: Good) -> None:
    good.change_report(lambda report: report["pairs"].pop(3))
    assert any("is not in the report" in found for found in good.findings())
    assert "lost" in good.kinds()


def test_a_failure_that_is_gone_from_the_report_is_a_loss(good: Good) -> None:
    good.change_report(lambda report: report["failures"].pop())
    assert "lost" in good.kinds()


def test_an_image_that_is_gone_is_a_loss(good: Good) -> None:
    good.images()[2].unlink()
    assert good.kinds() == {"lost"}


def test_a_failure_of_a_pair_that_had_nothing_is_a_loss(good: Good) -> None:
    case = Case(items=good.case.items, samples=2, passes=2)
    assert any("nothing was wrong with it" in found for found in good.findings(case))


def test_a_pair_that_should_have_failed_and_did_not_is_found(good: Good) -> None:
    keys = [item.key for item in good.case.items if item.bad is None][:2]
    case = Case(items=good.case.items, samples=2, passes=2, editor=Simulation(faults={"oom": keys}))
    assert any("expected edit, oom" in found for found in good.findings(case))


def test_an_innocent_pair_given_up_as_poison_is_a_loss_unless_its_workers_were_killed(good: Good) -> None:
    rows = good.rows()
    unit = Unit.of(of(rows, "edited")[0])
    kept = [row for row in rows if row["event"] not in ("edited", "scored") or Unit.of(row) != unit]
    failed = {**of(rows, "failed")[-1], "category": unit.category, "pair_id": unit.pair_id, "sample": unit.sample}
    good.write_rows([*kept, {**failed, "stage": "edit", "kind": "poison"}])

    def about_poison(case: Case) -> bool:
        return any("given up as poison" in found for found in good.findings(case))

    assert about_poison(good.case)
    assert not about_poison(replace(good.case, spare_poison=1))


def test_a_torn_ledger_is_a_loss(good: Good) -> None:
    with (good.run / "results.jsonl").open("a") as ledger:
        ledger.write('{"event":"sco')
    assert "lost" in good.kinds()


def test_no_report_is_a_loss(good: Good) -> None:
    for path in good.output.glob("*.json"):
        path.unlink()
    assert good.kinds() == {"lost"}


# -- doubles


@pytest.mark.parametrize("event", ["edited", "scored"])
def test_a_row_that_is_there_twice_is_a_double(good: Good, event: str) -> None:
    rows = good.rows()
    good.write_rows([*rows, of(rows, event)[0]])
    assert good.kinds() == {"doubled"}


def taken_back(good: Good) -> Case:
    """The first edit is withdrawn and made again; the case says that its image was spoilt in between."""
    rows = good.rows()
    again = of(rows, "edited")[0]
    withdrawal = {**of(rows, "failed")[-1], "stage": "edit", "kind": "outdated", "identity": None, "pass": None}
    withdrawal |= {key: again[key] for key in ("category", "pair_id", "sample")}
    good.write_rows([*rows, withdrawal, again])
    return replace(good.case, tampered={Unit.of(again): (len(rows),)})


def test_a_second_row_is_no_double_if_the_image_had_been_spoilt_and_the_first_was_taken_back(good: Good) -> None:
    assert good.findings(taken_back(good)) == []


def test_a_result_that_is_taken_back_without_a_cause_is_done_twice(good: Good) -> None:
    taken_back(good)
    assert any("taken back without a cause" in found for found in good.findings())


def test_a_pair_that_is_in_the_report_twice_is_a_double(good: Good) -> None:
    good.change_report(lambda report: report["pairs"].append(report["pairs"][0]))
    assert "doubled" in good.kinds()


# -- mix-ups


def test_two_swapped_images_are_a_mix_up(good: Good) -> None:
    one, other = good.images()[0], good.images()[-1]
    first, second = one.read_bytes(), other.read_bytes()
    assert first != second
    one.write_bytes(second)
    other.write_bytes(first)
    assert good.kinds() == {"mixed_up"}


def swap_in_rows(good: Good, event: str, keys: tuple[str, ...]) -> None:
    rows = good.rows()
    found = of(rows, event)
    one, other = found[0], next(row for row in found if row[keys[0]] != found[0][keys[0]])
    for key in keys:
        one[key], other[key] = other[key], one[key]
    good.write_rows(rows)


def test_two_swapped_hashes_are_a_mix_up(good: Good) -> None:
    swap_in_rows(good, "edited", ("sha256",))
    assert "mixed_up" in good.kinds()


def test_two_edits_that_were_swapped_with_all_their_rows_are_a_mix_up(good: Good) -> None:
    one, other = good.images()[0], good.images()[-1]
    first, second = one.read_bytes(), other.read_bytes()
    rows = good.rows()
    edits = {str(good.run / row["image"]): row for row in of(rows, "edited")}
    a, b = edits[str(one)], edits[str(other)]
    a["sha256"], b["sha256"] = b["sha256"], a["sha256"]
    good.write_rows(rows)
    one.write_bytes(second)
    other.write_bytes(first)
    assert any("is not the edit of its source" in found for found in good.findings())


def test_two_swapped_scores_are_a_mix_up(good: Good) -> None:
    swap_in_rows(good, "scored", ("score",))
    assert any("its image" in found for found in good.findings())


def test_two_scores_that_were_swapped_in_the_report_are_a_mix_up(good: Good) -> None:
    def swap(report: dict[str, Any]) -> None:
        found = [sample["scores"][0] for pair in report["pairs"] for sample in pair["samples"] if sample["scores"]]
        one, other = found[0], next(score for score in found if score["score"] != found[0]["score"])
        one["score"], other["score"] = other["score"], one["score"]

    good.change_report(swap)
    assert "mixed_up" in good.kinds()


def test_an_invented_score_is_a_mix_up(good: Good) -> None:
    rows = good.rows()
    of(rows, "scored")[0]["score"] = 4.999
    good.write_rows(rows)
    assert "mixed_up" in good.kinds()


def test_a_score_before_its_edit_is_a_mix_up(good: Good) -> None:
    rows = good.rows()
    late = of(rows, "edited")[0]
    rows.remove(late)
    good.write_rows([*rows, late])
    assert any("before it is edited" in found for found in good.findings())


def test_a_pair_that_was_not_requested_is_a_mix_up(good: Good) -> None:
    rows = good.rows()
    good.write_rows([*rows, {**of(rows, "edited")[0], "pair_id": "stranger"}])
    assert "mixed_up" in good.kinds()


# -- figures, states, files


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report["overall"].update(mean=report["overall"]["mean"] + 0.01),
        lambda report: report["overall"].update(num_failed=0),
        lambda report: report["overall"].update(macro_mean=1.0),
        lambda report: report["summary"].update(total_pairs=11),
        lambda report: next(iter(report["category_statistics"].values())).update(num_samples=0),
        lambda report: next(iter(report["category_statistics"].values())).update(median=0.123),
        lambda report: report["pairs"][-1].update(score=0.0),
        lambda report: report["provenance"]["scoring_methods"].update(simulated=1),
        lambda report: report.update(status="COMPLETE"),
    ],
)
def test_a_wrong_figure_is_a_miscount(good: Good, change: Callable[[dict[str, Any]], object]) -> None:
    good.change_report(change)
    assert "miscounted" in good.kinds()


def test_a_wrong_exit_code_is_a_miscount(good: Good) -> None:
    assert any("exit code 130" in found for found in good.findings(code=130))


@pytest.mark.parametrize(
    "name", ["runs/{run}/images/x.png", "runs/{run}/images/.abc.1.partial", "runs/{run}/.m.2.partial", "stray.txt"]
)
def test_a_file_that_should_be_gone_is_left_over(good: Good, name: str) -> None:
    path = good.output / name.format(run=good.run.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    assert good.kinds() == {"left_over"}


def test_images_of_scored_pairs_are_left_over_if_no_edits_are_to_be_kept(good: Good) -> None:
    findings = good.findings(replace(good.case, keep_images=False))
    assert {found.partition(":")[0] for found in findings} == {"left_over"}
