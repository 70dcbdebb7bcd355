"""Change fitted models and load, in a confined process, those files that still pass.

    python scripts/run_oracle.py                            # 20,000 mutations of all models
    python scripts/run_oracle.py --count 500 --seed 3 svc   # of some models

A file that passes must not execute, open, import or connect, must not end its process or hang, and
must give the same answers whatever new memory contains. The order of mutations depends on the seed
alone. Exit status 1 if one file does otherwise; `--keep FOLDER` keeps such files.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from oracle import archives, models, pickles
from oracle.running import Oracle, Outcome, Worker

ENCODINGS = (*pickles.PICKLERS, "skops")
_MOST_SHOWN = 50


def main() -> int:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    names = [n for n in models.FITS if not arguments.model or n in arguments.model]
    worker, started = Worker(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            campaign = Campaign(
                names, arguments.encoding or ENCODINGS, Oracle(worker, Path(folder))
            )
            campaign.learn(quick=arguments.quick)
            numbers = arguments.only or range(arguments.count)
            for number in numbers:
                campaign.mutate(arguments.seed, number, arguments.keep)
                if arguments.progress and number % 500 == 499:
                    print(json.dumps(campaign.counts), file=sys.stderr, flush=True)
        finally:
            worker.close()
    print(campaign.summary(arguments.seed, time.monotonic() - started))
    return 1 if campaign.found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="*", help="names of models (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000, help="mutations")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of mutations to repeat")
    parser.add_argument("--encoding", action="append", choices=ENCODINGS)
    parser.add_argument("--keep", type=Path, help="folder for files with a problem")
    parser.add_argument("--quick", action="store_true", help="fewer files without a change")
    parser.add_argument("--progress", action="store_true", help="counts on standard error")
    return parser.parse_args()


class Campaign:
    """Mutations of fitted models, and what became of them.

    Attributes:
        counts: Numbers of the summary.
        found: Problems, each with the number of its mutation.
    """

    def __init__(self, names: list[str], encodings: Any, oracle: Oracle) -> None:
        self.counts: Counter[str] = Counter()
        self.found: list[str] = []
        self._oracle = oracle
        self._models = {name: models.fit(name) for name in names}
        self._encodings = encodings
        self._keys = [
            (name, encoding)
            for name in names
            for encoding in encodings
            if encoding != "skops" or name not in models.NOT_IN_SKOPS
        ]
        self._files: dict[tuple[str, str], bytes] = {}
        self._surveys: dict[tuple[str, str], pickles.Survey] = {}
        self._rows = {name: json.loads(json.dumps(models.rows(name))) for name in names}

    def learn(self, *, quick: bool) -> None:
        """Load the unchanged files, which all have to pass; their events are normal.

        Args:
            quick: Load each model in one encoding only, in turn.
        """
        outcomes = {}
        for place, name in enumerate(self._models):
            encodings = [each for each in self._encodings if (name, each) in self._keys]
            turn = place % max(1, len(encodings))
            for encoding in encodings[turn : turn + 1] if quick else encodings:
                outcome = self._oracle.judge(self._file(name, encoding), self._rows[name])
                self._oracle.normal |= outcome.events
                outcomes[f"{name} as {encoding}"] = outcome
        self.counts["models"] = len(self._models)
        self.counts["files"] = len(outcomes)
        for name, outcome in outcomes.items():
            problems = [each for each in outcome.problems if not each.startswith("event: ")]
            if outcome.verdict != "pass" or outcome.status != "answered":
                problems.append(f"{outcome.verdict}, {outcome.status}: {outcome.detail}")
            self.found += [f"unchanged {name}: {problem}" for problem in problems]

    def _file(self, name: str, encoding: str) -> bytes:
        key = name, encoding
        if key not in self._files:
            model = self._models[name]
            is_skops = encoding == "skops"
            data = archives.original(model) if is_skops else pickles.original(model, encoding)
            self._files[key] = data
        return self._files[key]

    def mutate(self, seed: int, number: int, keep: Path | None) -> None:
        """Make one file, which the seed and the number determine, and judge it."""
        chance = random.Random(f"{seed} {number}")
        name, encoding = chance.choice(self._keys)
        other = chance.choice(sorted(self._models))
        self.counts["mutations"] += 1
        try:
            data, told = self._mutated(name, encoding, other, chance)
        except Exception:  # what the changes made is nothing that can be saved
            self.counts["not written"] += 1
            return
        if data == self._file(name, encoding):
            self.counts["unchanged"] += 1
            return
        outcome = self._oracle.judge(data, self._rows[name])
        self._count(outcome)
        for problem in outcome.problems:
            self.found.append(f"{seed}/{number} {name} as {encoding}: {told}: {problem}")
        if outcome.problems and keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{seed}-{number}").write_bytes(data)

    def _mutated(self, name: str, encoding: str, other: str, chance: Any) -> tuple[bytes, str]:
        if encoding == "skops":
            foreign = other if (other, encoding) in self._keys else name
            files = self._file(name, encoding), self._file(foreign, encoding)
            return archives.mutated(*files, chance)
        survey = self._survey(name, encoding)
        pool = [self._models[other], *self._survey(other, encoding).pool]
        return pickles.mutated(self._models[name], encoding, survey, pool, chance)

    def _survey(self, name: str, encoding: str) -> pickles.Survey:
        key = name, encoding
        if key not in self._surveys:
            self._surveys[key] = pickles.surveyed(self._models[name], encoding)
        return self._surveys[key]

    def _count(self, outcome: Outcome) -> None:
        self.counts[outcome.verdict] += 1
        if outcome.status:
            self.counts[f"then {outcome.status}"] += 1
        for problem in outcome.problems:
            words = problem.partition(" ")[0].rstrip(":")
            self.counts["crashes" if words.startswith("SIG") else words] += 1

    def summary(self, seed: int, seconds: float) -> str:
        counts = {"seed": seed, **self.counts, "problems": len(self.found)}
        counts["seconds"] = round(seconds)
        lines = [*self.found[:_MOST_SHOWN], json.dumps(counts)]
        if self._oracle.lowered:
            lines.insert(0, f"not confined: {sorted(self._oracle.lowered)}")
        return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
