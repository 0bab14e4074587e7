"""What ``watch`` evaluates, waits for and passes over; over random trainings, deletions and restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.run.watch_order import Sighting, View, Watch, Watched, WatchRules

RULES = WatchRules(settle=30, broken_after=600)


def seen(
    path: str, version: str = "a", *, age: float = 1000, lacks: Sequence[str] = (), temporary: bool = False
) -> Sighting:
    digits = "".join(filter(str.isdigit, path))
    return Sighting(path, int(digits) if digits else None, version, age, tuple(lacks), temporary)


def done(path: str, code: int = 0, version: str = "a") -> Watched:
    return Watched(path, seen(path).step, version, "run", code)


def paths(sightings: Iterable[Sighting]) -> list[str]:
    return [one.path for one in sightings]


def look(watch: Watch, *sightings: Sighting, now: float = 0.0) -> View:
    return watch.look(sightings, now)


def test_steps_are_ordered_by_their_value_and_a_model_without_a_step_comes_last() -> None:
    folders = [seen("."), seen("step-1000"), seen("step-900")]
    assert paths(look(Watch(RULES), *folders).ready) == ["step-900", "step-1000", "."]
    newest = WatchRules(newest_first=True)
    assert paths(look(Watch(newest), *folders).ready) == [".", "step-1000", "step-900"]


def test_steps_can_be_chosen() -> None:
    rules = WatchRules(every=500, from_step=1000, until=2000)
    view = look(Watch(rules), *(seen(f"step-{step}") for step in (500, 999, 1000, 1500, 2000, 2500)), seen("final"))
    assert paths(view.ready) == ["step-1000", "step-1500", "step-2000", "final"]


def test_a_checkpoint_is_ready_when_it_is_complete_and_has_not_changed_for_a_while() -> None:
    watch = Watch(RULES)
    young = look(watch, seen("step-1", age=0), now=100)
    assert (young.ready, young.waiting[0].why) == ((), "unchanged for 0 of 30 s")
    grown = look(watch, seen("step-1", "b", age=0), now=120)
    assert grown.waiting[0].why == "unchanged for 0 of 30 s"
    assert look(watch, seen("step-1", "b", age=0), now=149).ready == ()
    assert paths(look(watch, seen("step-1", "b", age=0), now=150).ready) == ["step-1"]


def test_an_incomplete_checkpoint_is_broken_once_it_has_not_changed_for_long() -> None:
    watch = Watch(RULES)
    half = seen("step-1", age=0, lacks=["it lacks x.safetensors"])
    assert look(watch, half).waiting[0].why == "it lacks x.safetensors"
    assert look(watch, half, now=599).broken == ()
    (broken,) = look(watch, half, now=600).broken
    assert (broken.path, broken.code, broken.reason) == ("step-1", 2, "it lacks x.safetensors")
    assert look(watch, half, now=700) == View(), "it is reported once"
    assert look(Watch(RULES, watch.entries), half) == View(), "also after a restart"
    assert paths(look(watch, seen("step-1", "b"), now=800).ready) == ["step-1"], "completed after all"


def test_a_folder_with_a_temporary_name_is_waited_for_and_never_broken() -> None:
    watch = Watch(RULES)
    assert look(watch, seen("step-1.tmp", age=0, temporary=True)).waiting[0].incomplete
    later = look(watch, seen("step-1.tmp", age=0, temporary=True), now=5000)
    assert later == View()
    assert look(watch).gone == (), "it was renamed"


def test_a_deleted_checkpoint_is_said_once_and_is_no_error() -> None:
    watch = Watch(RULES, [done("step-1")])
    look(watch, seen("step-1"), seen("step-2"), seen("step-3", age=0))
    assert look(watch, now=1).gone == ("step-2", "step-3")
    assert look(watch, now=2).gone == ()
    assert watch.exit_code() == 0


def test_a_checkpoint_with_other_content_is_a_new_one() -> None:
    watch = Watch(RULES, [done("step-1"), done("step-2", code=3)])
    assert paths(look(watch, seen("step-1", "b"), seen("step-2")).ready) == ["step-1"]
    assert watch.run_of(seen("step-1", "b")) is None, "the run of the old content is not resumed"
    assert watch.run_of(seen("step-1")) == "run"


def test_what_follows_the_present_checkpoint_is_told_without_deciding_anything() -> None:
    watch = Watch(RULES, [done("step-1")])
    folders = [seen("step-1"), seen("step-2"), seen("step-3", lacks=["it lacks a file"]), seen("step-4", age=0)]
    assert watch.following(folders, "step-2") is None
    following = watch.following([*folders, seen("step-5")], "step-2")
    assert following is not None
    assert following.path == "step-5"
    assert look(watch).gone == ()


def test_the_run_of_another_version_is_known_until_the_new_one_has_its_own() -> None:
    watch, new = Watch(RULES, [done("step-1")]), seen("step-1", "b")
    assert (watch.earlier_run(seen("step-1")), watch.earlier_run(new)) == (None, "run")
    watch.began(new, "run-b")
    assert watch.earlier_run(new) is None


def test_a_killed_or_interrupted_evaluation_is_resumed() -> None:
    for code in (None, 1, 130):
        watch = Watch(RULES, [Watched("step-1", 1, "a", "run", code)])
        assert paths(look(watch, seen("step-1")).ready) == ["step-1"]
        assert watch.run_of(seen("step-1")) == "run"


def test_an_aborted_run_is_resumed_once_and_three_aborts_in_a_row_are_the_end() -> None:
    watch, one, two = Watch(RULES), seen("step-1"), seen("step-2")
    for _ in range(2):
        assert paths(look(watch, one, two).ready) == ["step-1", "step-2"]
        watch.began(one, "run")
        assert watch.ended(one, 1, None, one)
    assert paths(look(watch, one, two).ready) == ["step-2"]
    ends = [watch.must_end]
    watch.ended(two, 1, None, two)
    ends.append(watch.must_end)
    assert (ends, watch.exit_code()) == ([False, True], 1)
    assert paths(look(Watch(RULES, watch.entries), one, two).ready) == ["step-1", "step-2"], "a new watch tries again"


def test_what_was_deleted_or_overwritten_while_it_was_evaluated_has_not_failed() -> None:
    for after in (None, seen("step-1", "b")):
        for code in (1, 2):
            watch, one = Watch(RULES), seen("step-1")
            look(watch, one)
            watch.began(one, "run")
            assert not watch.ended(one, code, "the file is gone", after)
            still = [] if after is None else [after]
            view = look(watch, *still)
            assert (paths(view.ready), view.gone) == (paths(still), ()), "what happened to it was said already"
            assert watch.exit_code() == 0
    watch = Watch(RULES)
    assert watch.ended(seen("step-1"), 0, None, None), "it was evaluated before it was deleted"


def test_a_watch_with_a_last_step_is_over_when_that_and_all_before_it_are_done() -> None:
    watch = Watch(WatchRules(until=1000), [done("step-900")])
    assert not look(watch, seen("step-900")).over
    assert not look(watch, seen("step-900"), seen("step-1000", age=0)).over
    watch.began(seen("step-1000"), "run")
    watch.ended(seen("step-1000"), 0, None, None)
    assert look(watch, seen("step-900")).over, "the last one was deleted after its evaluation"
    assert look(Watch(WatchRules(until=1000), [done("step-900")]), seen("step-900"), seen("step-1100")).over
    assert not look(Watch(WatchRules(until=1000)), seen("step-900"), seen("step-1100")).over


def test_a_single_look_waits_for_what_is_new_and_not_for_what_stays_incomplete() -> None:
    watch = Watch(WatchRules(once=True, settle=30))
    half = seen("step-2", age=0, lacks=["it lacks a file"])
    assert not look(watch, seen("step-1", age=0), half).over
    view = look(watch, seen("step-1", age=0), half, now=30)
    assert (paths(view.ready), [entry.path for entry in view.broken], view.over) == (["step-1"], ["step-2"], False)
    watch.ended(seen("step-1"), 0, None, seen("step-1"))
    assert look(watch, seen("step-1"), half, now=40).over
    assert look(Watch(WatchRules(once=True))).over


def test_the_exit_code_is_the_first_that_applies() -> None:
    def code(*codes: int | None, gate: tuple[int, ...] = ()) -> int:
        watch = Watch(RULES, [done(f"step-{number}", code) for number, code in enumerate(codes)])  # type: ignore[arg-type]
        look(watch, *(seen(f"step-{number}") for number in range(len(codes))))
        return watch.exit_code(gate)

    assert code() == 2, "there was no checkpoint"
    assert [code(0), code(0, 3), code(2, 2), code(0, 2), code(2, 1, 0), code(None)] == [0, 3, 2, 3, 1, 0]
    assert [code(0, gate=(4,)), code(0, 3, gate=(4,)), code(1, gate=(4,)), code(0, gate=(3,))] == [4, 4, 1, 3]
    interrupted = Watch(RULES, [done("step-1", 1)])
    interrupted.interrupt()
    assert interrupted.exit_code() == 130


@dataclass
class Training:
    """A folder that a training writes, and the evaluations of a watch that is killed now and then."""

    now: float = 0.0
    folders: dict[str, Sighting] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    evaluated: list[tuple[str, str]] = field(default_factory=list)
    reported: list[tuple[str, str]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    versions: int = 0
    saved: list[Watched] = field(default_factory=list)

    def write(self, path: str, *, complete: bool) -> None:
        self.versions += 1
        lacks = () if complete else ("it lacks a shard",)
        self.folders[path] = Sighting(path, int(path), str(self.versions), 0.0, lacks)
        self.written[path] = self.now

    def delete(self, path: str) -> None:
        self.folders.pop(path, None)
        self.deleted.add(path)

    def sightings(self) -> list[Sighting]:
        return [
            Sighting(one.path, one.step, one.version, self.now - self.written[one.path], one.lacks)
            for one in self.folders.values()
        ]

    def look(self, watch: Watch) -> View:
        view = watch.look(self.sightings(), self.now)
        for entry in view.broken:
            assert self.folders[entry.path].lacks
            assert self.now - self.written[entry.path] >= RULES.broken_after
            self.reported.append((entry.path, entry.version))
        assert {*view.gone} <= self.deleted
        steps = [one.step or 0 for one in view.ready]
        assert steps == sorted(steps)
        self.saved = watch.entries
        return view

    def step(self, watch: Watch, end: str) -> None:
        """One look, and the evaluation of what is ready first, which ends as told."""
        ready = self.look(watch).ready
        if not ready:
            return
        one = ready[0]
        assert not one.lacks
        assert self.now - self.written[one.path] >= RULES.settle
        assert (one.path, one.version) not in self.evaluated, "nothing is done twice"
        watch.began(one, watch.run_of(one) or f"run-{one.version}")
        self.saved = watch.entries
        if end == "killed":
            return
        after: Sighting | None = self.folders[one.path]
        if end == "deleted":
            self.delete(one.path)
            after = None
        elif end == "overwritten":
            self.write(one.path, complete=True)
            after = self.folders[one.path]
        if end == "evaluated":
            self.evaluated.append((one.path, one.version))
        watch.ended(one, 0 if end == "evaluated" else 1, None, after)
        self.saved = watch.entries


EVENTS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("123456"), st.booleans()),
    st.tuples(st.just("delete"), st.sampled_from("123456")),
    st.tuples(st.just("pass"), st.sampled_from([1.0, 10.0, 29.0, 30.0, 599.0, 600.0])),
    st.tuples(st.just("evaluate"), st.sampled_from(["evaluated", "evaluated", "killed", "deleted", "overwritten"])),
    st.tuples(st.just("restart")),
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=40))
def test_nothing_is_missed_or_done_twice_whatever_happens(events: list[tuple[object, ...]]) -> None:
    training = Training()
    watch = Watch(RULES)
    for kind, *values in events:
        match kind, values:
            case "write", [str(path), bool(complete)]:
                training.write(path, complete=complete)
            case "delete", [str(path)]:
                training.delete(path)
            case "pass", [float(seconds)]:
                training.now += seconds
            case "evaluate", [str(end)]:
                training.step(watch, end)
                if end == "killed":
                    watch = Watch(RULES, training.saved)
            case _:
                watch = Watch(RULES, training.saved)
    training.now += RULES.broken_after
    for _ in range(len(training.folders) + 1):
        training.step(watch, "evaluated")

    assert {path for path, one in training.folders.items() if one.lacks} == {
        path
        for path, version in training.reported
        if path in training.folders and training.folders[path].version == version
    }
    whole = {(one.path, one.version) for one in training.folders.values() if not one.lacks}
    assert whole <= {*training.evaluated}, "nothing is missing"
    assert len(training.evaluated) == len({*training.evaluated})
    assert len(training.reported) == len({*training.reported}), "what is broken is reported once"
    assert not watch.look(training.sightings(), training.now).ready
