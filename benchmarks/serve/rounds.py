"""All contenders in turn, again and again, so that a machine that slows down does so for all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from benchmarks.serve.models import CROWD, CURVE, Load, Model
from benchmarks.serve.processes import busy, used
from benchmarks.serve.results import Failure, Measurement
from benchmarks.serve.servers import Contender, Running

CURVE_ROUNDS = 1
WARM_UP_SECONDS = 1
IDLE_SECONDS = 1.0
IDLE_SHARE = 0.03  # of a processor, at most, that a server which waits for its turn may use


@dataclass(frozen=True)
class Plan:
    rounds: int
    seconds: int
    curves: bool

    def loads(self, contender: Contender, number: int) -> tuple[Load, ...]:
        drawn = self.curves and contender.curve and number < CURVE_ROUNDS
        return (*contender.loads, *(CURVE if drawn else ()))


Step = Callable[[str], None]
"""Receives the name of the current measurement."""


def measured(
    model: Model, contenders: list[Contender], plan: Plan, step: Step
) -> Iterator[Measurement | Failure]:
    """Measure each server in each round. One that fails is left out of later rounds."""
    with ExitStack() as stack:
        slots = [Slot(contender, stack) for contender in contenders]
        for number in range(plan.rounds):
            first = number % max(1, len(slots))
            for slot in (*slots[first:], *slots[:first]):
                step(f"{model.name}, round {number + 1}: {slot.contender.name}")
                try:
                    yield from _turn(model, slot, plan, number)
                except Exception as error:  # whatever ails one, the others are measured
                    slots.remove(slot)
                    slot.end()
                    yield Failure(model.name, slot.contender.name, str(error))


def _turn(model: Model, slot: Slot, plan: Plan, number: int) -> Iterator[Measurement]:
    contender = slot.contender
    with slot.turn() as server:
        for load in plan.loads(contender, number):
            own, others = server.used(), foreign()
            answers = server.measure(load, plan.seconds)
            own, others = server.used() - own, foreign() - others
            rows = answers.requests * load.rows
            yield Measurement(
                model.name,
                contender.name,
                load.name,
                number,
                rows / answers.seconds,
                answers.p50,
                answers.p99,
                answers.refused + answers.broken,
                own / rows * 1000 if rows else None,
                others / plan.seconds / len(os.sched_getaffinity(0)),
            )


class Slot:
    """A contender between its turns: still running if it rests then, else started anew for each."""

    def __init__(self, contender: Contender, stack: ExitStack) -> None:
        self.contender = contender
        self._running: Running | None = None
        self._stack = stack.enter_context(ExitStack())

    @contextmanager
    def turn(self) -> Iterator[Running]:
        running, fresh = self._running, self._running is None
        if running is None:
            running = self._running = self._stack.enter_context(self.contender.start())
            running.measure(CROWD, WARM_UP_SECONDS)
        yield running
        if fresh and idle(running) > IDLE_SHARE:
            self.end()

    def end(self) -> None:
        self._running = None
        with suppress(OSError, RuntimeError):
            self._stack.close()


def foreign() -> float:
    """Seconds of CPU time that others than this benchmark have used of this machine."""
    return busy() - used(os.getpid())


def idle(server: Running) -> float:
    """Return the share of a processor that an idle server uses."""
    before = server.used()
    time.sleep(IDLE_SECONDS)
    return (server.used() - before) / IDLE_SECONDS
