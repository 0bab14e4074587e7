"""A disturbed run and the faults to inject: drawn from a seed, the same every time.

A plan is a run's settings and its *parts*: what one process of the scheduler does until it ends or is ended. Before a
part files may be tampered with; during it processes are killed, stopped, interrupted, and sent garbage. Behind the
last part nothing is disturbed any more, so every run comes to its end.
"""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.chaos.dataset import Item, draw_items
from tests.chaos.deeds import (
    Deed,
    Garbage,
    Injection,
    Interrupt,
    Kill,
    KillNode,
    Moment,
    Part,
    Restart,
    Rows,
    Said,
    Stall,
    Tamper,
    There,
    Trigger,
)


@dataclass(frozen=True)
class Models:
    """The workers of a role: how many, how slow, how they fail. ``faults`` is as in a config."""

    count: int
    latency_ms: float
    sigma: float
    place_seconds: float
    load_seconds: float
    faults: dict[str, float | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A run and what is done to it. ``second`` are the pairs of another run on the same pool at the same time."""

    seed: int
    items: tuple[Item, ...]
    second: tuple[Item, ...]
    editors: Models
    rewards: Models
    placement: Literal["apart", "shared", "swap"]
    synchronized: bool
    round_size: int
    batch_size: int
    samples: int
    passes: int
    keep_images: bool
    with_source: bool
    warm: bool
    transport: Literal["ipc", "tcp"]
    placer: Literal["local", "join", "ray", "slurm"]
    heartbeat_seconds: float
    dead_after_seconds: float
    job_timeout_seconds: float
    real: bool
    parts: tuple[Part, ...]

    @property
    def nodes(self) -> list[str]:
        """The roles of the machines whose workers join; none with another placer."""
        if self.placer != "join":
            return []
        return [*(["editor"] * self.editors.count), *(["reward"] * self.rewards.count)]

    @property
    def workers(self) -> list[str]:
        """The ids of all workers."""
        return [
            *(f"editor-{number}" for number in range(self.editors.count)),
            *(f"reward-{number}" for number in range(self.rewards.count)),
        ]


_ENGINE_SHARE = 0.2
"""Of the plans whose workers an engine could place: to start one takes seconds."""

REAL_EVERY = 25
"""One seed in this many uses the tiny models instead of simulated ones."""


def draw_plan(seed: int) -> Plan:
    """The plan of this seed."""
    dice = random.Random(f"plan {seed}")  # noqa: S311 - repeatable is what it has to be
    real = seed % REAL_EVERY == REAL_EVERY - 1
    items = draw_items(dice, 3 if real else dice.randint(8, 40), "a")
    second = draw_items(dice, dice.randint(8, 16), "b") if not real and dice.random() < 0.12 else ()
    samples, passes = (1, 1) if real else (dice.choice((1, 1, 1, 2, 3)), dice.choice((1, 1, 1, 2)))
    good = [item.key for item in items if item.bad is None]
    every_fault = not real and dice.random() < 0.06
    editors = _draw_models(dice, good, len(items) * samples, most=1 if real else 4, every_fault=every_fault, real=real)
    usable = [key for key in good if not any(key in keys for keys in editors.faults.values() if isinstance(keys, list))]
    rewards = _draw_models(
        dice, usable, len(items) * samples * passes, most=1 if real else 2, every_fault=every_fault, real=real
    )
    hangs = "hang" in editors.faults or "hang" in rewards.faults
    impatient = not real and dice.random() < 0.5
    plan = Plan(
        seed=seed,
        items=items,
        second=second,
        editors=editors,
        rewards=rewards,
        placement="apart" if real else dice.choice(("apart", "apart", "shared", "swap")),
        synchronized=dice.random() < 0.6,
        round_size=dice.choice((1, 1, 2, 3)),
        batch_size=dice.choice((1, 2, 4, 8)),
        samples=samples,
        passes=passes,
        keep_images=dice.random() < 0.75,
        with_source=dice.random() < 0.3,
        warm=dice.random() < 0.25,
        transport=dice.choice(("ipc", "ipc", "ipc", "tcp")),
        placer="local",
        heartbeat_seconds=0.1 if impatient else 1.0,
        dead_after_seconds=dice.choice((0.6, 1.0)) if impatient else 10.0,
        job_timeout_seconds=1.0 if hangs else 600.0,
        real=real,
        parts=(),
    )
    return _over_tcp(_with_parts(plan, dice))


def _draw_models(
    dice: random.Random, keys: list[str], jobs: int, *, most: int, every_fault: bool, real: bool
) -> Models:
    count = dice.randint(1, most)
    longest = min(60.0, 900.0 * count / max(1, jobs))
    faults: dict[str, float | list[str]] = {}
    if not real:
        chances = {"crash": 0.1, "hang": 0.06, "oom": 0.15, "error": 0.2}
        for kind, chance in chances.items():
            if not (every_fault or dice.random() < chance):
                continue
            if kind in ("oom", "error") and dice.random() < 0.4:
                faults[kind] = round(dice.uniform(0.02, 0.15), 3)
            elif keys:
                # A death costs half a second and more: a few do.
                faults[kind] = sorted(dice.sample(keys, 1 if kind in ("crash", "hang") else min(2, len(keys))))
    return Models(
        count=count,
        latency_ms=round(dice.uniform(2.0, max(3.0, longest)), 1),
        sigma=dice.choice((0.0, 0.0, 0.4)),
        place_seconds=dice.choice((0.0, 0.0, 0.1)),
        load_seconds=dice.choice((0.0, 0.0, 0.2)),
        faults=faults,
    )


def _with_parts(plan: Plan, dice: random.Random) -> Plan:
    parts = [
        Part(
            injections=tuple(_draw_injection(plan, dice) for _ in range(dice.choice((1, 1, 1, 2, 3)))),
            before=() if number == 0 else _draw_tampers(plan, dice),
        )
        for number in range(dice.choice((1, 1, 2, 2, 3)))
    ]
    if len(parts) > 1 or dice.random() < 0.3:
        parts.append(Part(before=_draw_tampers(plan, dice)))
    return replace(plan, parts=tuple(parts))


def _over_tcp(plan: Plan) -> Plan:
    """The plan, or one on machines of their own, or with launchers that are started again: drawn apart, so that other
    plans stay the same.
    """
    dice = random.Random(f"nodes {plan.seed}")  # noqa: S311 - repeatable is what it has to be
    suitable = plan.placement == "apart" and not plan.real and not plan.second
    if suitable and (engine := random.Random(f"engine {plan.seed}")).random() < _ENGINE_SHARE:  # noqa: S311 - as above
        plan = _on_engine(plan, engine)
    elif suitable and dice.random() < (0.6 if plan.transport == "tcp" else 0.3):
        plan = _on_nodes(plan, dice)
    if plan.transport != "tcp":
        return plan

    def restarted(injection: Injection) -> Injection:
        kills = injection.deed == Kill("launcher") and not isinstance(injection.trigger, There)
        return replace(injection, deed=Restart()) if kills else injection

    parts = [replace(part, injections=tuple(map(restarted, part.injections))) for part in plan.parts]
    if parts[0].injections and dice.random() < 0.4:
        once_more = Injection(_draw_trigger(plan, dice, "launcher"), Restart())
        parts[0] = replace(parts[0], injections=(*parts[0].injections, once_more))
    return replace(plan, parts=tuple(parts))


def _on_nodes(plan: Plan, dice: random.Random) -> Plan:
    """The plan on machines of their own, whose workers join. There each killed worker is a machine that ends."""
    plan = replace(plan, transport="tcp", placer="join", warm=False)
    nodes = [f"node-{number}" for number in range(len(plan.nodes))]

    def elsewhere(injection: Injection) -> Injection:
        who = dice.choice(nodes)
        trigger = injection.trigger
        if isinstance(trigger, There) and trigger.who in plan.workers:
            trigger = There(who)
        if injection.deed.who not in plan.workers or isinstance(injection.deed, Garbage):
            return replace(injection, trigger=trigger)
        deed: Deed = Stall(who, injection.deed.seconds) if isinstance(injection.deed, Stall) else KillNode(who)
        return Injection(trigger, deed)

    def on_nodes(part: Part) -> Part:
        before = tuple(tamper for tamper in part.before if tamper.what != "editors")
        return Part(tuple(map(elsewhere, part.injections)), before)

    return replace(plan, parts=tuple(map(on_nodes, plan.parts)))


def _on_engine(plan: Plan, dice: random.Random) -> Plan:
    """The plan on the machines of an engine. There some of the workers end because their machine does."""
    patient = {"heartbeat_seconds": 1.0, "dead_after_seconds": 10.0}
    plan = replace(plan, transport="tcp", placer=dice.choice(("ray", "slurm")), **patient)  # type: ignore[arg-type]

    def placed(injection: Injection) -> Injection:
        dies = isinstance(injection.deed, Kill) and injection.deed.who in plan.workers and dice.random() < 0.5
        return replace(injection, deed=KillNode(injection.deed.who)) if dies else injection

    def on_engine(part: Part) -> Part:
        before = tuple(tamper for tamper in part.before if tamper.what != "editors")
        return Part(tuple(map(placed, part.injections)), before)

    return replace(plan, parts=tuple(map(on_engine, plan.parts)))


def _draw_injection(plan: Plan, dice: random.Random) -> Injection:
    schedulers = ("scheduler", "scheduler-1") if plan.second else ("scheduler",)
    anyone = (*plan.workers, "launcher", *schedulers)
    kind = dice.choice(("kill worker", "kill worker", "kill scheduler", "kill scheduler", "kill launcher", "stall",
                        "stall", "interrupt", "garbage"))  # fmt: skip
    deed: Deed
    match kind:
        case "kill worker":
            deed = Kill(dice.choice(plan.workers))
        case "kill scheduler":
            deed = Kill(dice.choice(schedulers))
        case "kill launcher":
            deed = Kill("launcher")
        case "stall":
            patience = plan.dead_after_seconds
            longer = patience < 5 and dice.random() < 0.5
            deed = Stall(dice.choice(anyone), patience + dice.uniform(0.2, 0.6) if longer else dice.uniform(0.05, 0.5))
        case "interrupt":
            number = dice.choice((signal.SIGINT, signal.SIGTERM))
            deed = Interrupt(dice.choice(schedulers), int(number), dice.choice((1, 1, 2)))
        case _:
            deed = Garbage(dice.choice((*plan.workers, "launcher")), dice.randrange(2**32))
    return Injection(_draw_trigger(plan, dice, deed.who), deed)


def _draw_trigger(plan: Plan, dice: random.Random, who: str) -> Trigger:
    units = len(plan.items) * plan.samples
    choices: list[Trigger] = [
        Moment(dice.uniform(0.0, 12.0 if plan.real else 1.6)),
        Rows("edited", max(1, int(units * dice.random()))),
        Rows("edited", max(1, int(units * dice.random()))),
        Rows("scored", max(1, int(units * plan.passes * dice.random()))),
        Rows("planned", dice.randint(1, len(plan.items))),
        There(who if who not in ("scheduler", "scheduler-1") else dice.choice(("launcher", *plan.workers))),
    ]
    if plan.placement != "apart":
        choices += [Said("Model switch:"), Said("Model switch:")]
    choices.append(Said("Report:" if who.startswith("scheduler") else "Edit stage completed"))
    return dice.choice(choices)


def _draw_tampers(plan: Plan, dice: random.Random) -> tuple[Tamper, ...]:
    if dice.random() < 0.4:
        return ()
    kinds: tuple[Literal["delete", "overwrite", "cut", "half", "steps", "seed", "editors"], ...]
    kinds = ("delete", "overwrite", "cut", "half", "half", "steps", "seed", "editors")
    if plan.real:
        kinds = ("delete", "overwrite", "cut", "half")
    return tuple(Tamper(dice.choice(kinds), dice.randrange(1000)) for _ in range(dice.choice((1, 1, 2))))
