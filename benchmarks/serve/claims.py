"""Claims on the speed of the service, compared with a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.serve.models import BULK, CROWD, LONE, NUMERIC, Load
from benchmarks.serve.results import Results, Spread, Value, p99, rate, ratios
from benchmarks.serve.servers import BARE, COMPILED, OURS

FASTAPI = ("fastapi", "fastapi-async")
PEERS = tuple(NUMERIC)
TREES = ("hgb", "forest")
FREE = 0.95  # what differs by less than noise costs nothing


@dataclass(frozen=True)
class Claim:
    """A claim that `value` of the service is `target` times that of the best of `against`.

    Attributes:
        against_model: The model of the others, if it is another one.
        server: The service: that of the model itself, or that of the compiled model.
    """

    model: str
    load: Load
    target: float
    against: tuple[str, ...] = PEERS
    value: Value = rate
    against_model: str | None = None
    server: str = OURS


CLAIMS = (
    Claim("iris", CROWD, 2.5),
    Claim("hgb", CROWD, 3),
    Claim("forest", CROWD, 5),
    Claim("iris", LONE, 2, FASTAPI),
    Claim("forest", LONE, 8, FASTAPI),
    *(Claim(model, CROWD, 1, value=p99) for model in ("iris", "hgb", "forest")),
    *(Claim("forest", load, FREE, (OURS,), against_model="forest_alone") for load in (LONE, CROWD)),
    *(Claim("iris", load, 0.5, (BARE,)) for load in (LONE, CROWD)),
    Claim("iris", BULK, 1),
    *(Claim(model, BULK, 3, server=server) for model in TREES for server in (OURS, COMPILED)),
    *(
        Claim(model, load, FREE, (OURS,), server=COMPILED)
        for model in TREES
        for load in (LONE, CROWD)
    ),
    *(Claim(model, load, 2, FASTAPI) for model in ("text", "mixed") for load in (LONE, CROWD)),
)


@dataclass(frozen=True)
class Verdict:
    """`against`: the best of those of the claim. `errors`: of the service."""

    claim: Claim
    against: str
    ratio: Spread
    errors: int

    @property
    def is_met(self) -> bool:
        return self.ratio.median >= self.claim.target and not self.errors


def verdicts(results: Results) -> Iterator[Verdict]:
    """Return the verdicts on claims that have measurements."""
    for claim in CLAIMS:
        model = claim.against_model or claim.model
        against = results.best(claim.against, model, claim.load, claim.value)
        if against is None:
            continue
        ours = results.values(claim.model, claim.server, claim.load, claim.value)
        theirs = results.values(model, against, claim.load, claim.value)
        ratio = ratios(ours, theirs) if claim.value is rate else ratios(theirs, ours)
        if ratio:
            errors = results.errors(claim.model, claim.server, claim.load)
            yield Verdict(claim, against, ratio, errors)
