"""Measurements as JSON, and their statistics."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.serve.models import Load
from benchmarks.serve.servers import COMPILED, LIMITS, OURS


@dataclass(frozen=True)
class Measurement:
    """`load`: its name. `rate`: rows per second. `p50`, `p99`: milliseconds, None where it is no
    server. `errors`: answers that were none. `cpu`: milliseconds of CPU time that the server used
    for a row, which depends less on what else runs on the machine. `others`: the share of the
    machine's processors that programs which have nothing to do with it used meanwhile.
    """

    model: str
    server: str
    load: str
    round: int
    rate: float
    p50: float | None
    p99: float | None
    errors: int
    cpu: float | None
    others: float


@dataclass(frozen=True)
class Failure:
    """Why a server was left out of the rounds to come."""

    model: str
    server: str
    reason: str


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, the least and the most."""

    median: float
    least: float
    most: float


Value = Callable[[Measurement], float | None]


def rate(measurement: Measurement) -> float:
    return measurement.rate


def p50(measurement: Measurement) -> float | None:
    return measurement.p50


def p99(measurement: Measurement) -> float | None:
    return measurement.p99


def cpu(measurement: Measurement) -> float | None:
    return measurement.cpu


@dataclass(frozen=True)
class Results:
    """`machine`, `how`, `versions`: texts to show. The values of a load are by round,
    which are compared round by round.
    """

    machine: dict[str, str]
    how: dict[str, Any]
    versions: dict[str, str]
    measurements: tuple[Measurement, ...]
    failures: tuple[Failure, ...]

    def models(self) -> list[str]:
        return list(dict.fromkeys(each.model for each in self.measurements))

    def servers(self, model: str) -> list[str]:
        """The service first, the limits last."""
        names = {each.server for each in self.measurements if each.model == model}
        order = [OURS, *(name for name in self.versions if name != OURS), *LIMITS]
        return [name for name in order if name in names]

    def peers(self, model: str) -> list[str]:
        return [name for name in self.servers(model) if name not in {OURS, COMPILED, *LIMITS}]

    def values(self, model: str, server: str, load: Load, value: Value) -> dict[int, float]:
        """By round."""
        return {
            each.round: known
            for each in self.measurements
            if (each.model, each.server, each.load) == (model, server, load.name)
            and (known := value(each)) is not None
        }

    def errors(self, model: str, server: str, load: Load) -> int:
        measured = (model, server, load.name)
        return sum(e.errors for e in self.measurements if (e.model, e.server, e.load) == measured)

    def spread(self, model: str, server: str, load: Load, value: Value) -> Spread | None:
        return spread(self.values(model, server, load, value).values())

    def best(self, candidates: Iterable[str], model: str, load: Load, value: Value) -> str | None:
        """Return the server with the best median, of those without errors."""
        known = {
            name: found.median
            for name in candidates
            if (found := self.spread(model, name, load, value))
            and not self.errors(model, name, load)
        }
        if not known:
            return None
        return (max if value is rate else min)(known, key=lambda name: known[name])

    def others(self) -> float:
        """The median share of the processors that others used."""
        return statistics.median(each.others for each in self.measurements)

    def json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Results:
        document = json.loads(path.read_bytes())
        measurements = tuple(Measurement(**each) for each in document.pop("measurements"))
        failures = tuple(Failure(**each) for each in document.pop("failures"))
        return cls(**document, measurements=measurements, failures=failures)


def spread(values: Iterable[float]) -> Spread | None:
    known = sorted(values)
    return Spread(statistics.median(known), known[0], known[-1]) if known else None


def ratios(over: dict[int, float], under: dict[int, float]) -> Spread | None:
    """The quotients of the rounds that both have."""
    return spread(over[number] / under[number] for number in over if under.get(number))
