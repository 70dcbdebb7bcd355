"""Change fitted models and load, in a confined process, those files that still pass.

    python scripts/run_oracle.py                            # 20,000 mutations of all models
    python scripts/run_oracle.py --count 500 --seed 3 svc   # of some models
    python scripts/run_oracle.py --encoding onnx --sanitizer

A file that passes must not execute, open, import or connect, must not end its process or hang, and
must give the same answers whatever new memory contains. With `--sanitizer`, compiled code that
reads or writes beyond the end of an allocation ends its process. This requires a C compiler, and
each file runs once, so that no answers are compared. The order of mutations depends on the seed
alone. Exit status 1 if one file does otherwise; `--keep FOLDER` keeps such files.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from oracle import archives, models, natives, pickles, sanitizer
from oracle.running import Oracle, Outcome, Worker

ENCODINGS = (*pickles.PICKLERS, "skops", *natives.ENCODINGS)
_MOST_SHOWN = 50


def main() -> int:
    arguments = _arguments()
    warnings.simplefilter("ignore")
    known = (*models.FITS, *natives.FILES)
    names = [n for n in known if not arguments.model or n in arguments.model]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        library = sanitizer.build(Path(folder)) if arguments.sanitizer else None
        worker = Worker(library, arguments.packages)
        oracle = Oracle(worker, Path(folder), once=arguments.sanitizer)
        try:
            campaign = Campaign(names, arguments.encoding or ENCODINGS, oracle)
            campaign.learn(quick=arguments.quick)
            numbers = arguments.only or range(arguments.count)
            for number in numbers:
                if time.monotonic() - started > arguments.seconds:
                    break
                shown = len(campaign.found)
                campaign.mutate(arguments.seed, number, arguments.keep)
                if arguments.progress:
                    sys.stderr.writelines(f"{each}\n" for each in campaign.found[shown:])
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
    parser.add_argument("--seconds", type=float, default=math.inf, help="start none after these")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of mutations to repeat")
    parser.add_argument("--encoding", action="append", choices=ENCODINGS)
    parser.add_argument("--packages", type=Path, help="folder of packages to prefer when loading")
    parser.add_argument("--keep", type=Path, help="folder for files with a problem")
    parser.add_argument(
        "--sanitizer", action="store_true", help="end each allocation at a page without access"
    )
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
        self._names = {
            encoding: held
            for encoding in encodings
            if (held := [name for name in names if _can_be(name, encoding)])
        }
        fitted = {n for e, held in self._names.items() if e not in natives.ENCODINGS for n in held}
        self._models = {name: models.fit(name) for name in names if name in fitted}
        self._files: dict[tuple[str, str], bytes] = {}
        self._surveys: dict[tuple[str, str], pickles.Survey] = {}
        self._rows = {
            name: json.loads(json.dumps((natives if name in natives.FILES else models).rows(name)))
            for name in names
        }

    def learn(self, *, quick: bool) -> None:
        """Load the unchanged files, which all have to pass; their events are normal.

        Args:
            quick: Load each model in one encoding only, in turn.
        """
        outcomes = {}
        for index, name in enumerate(self._rows):
            encodings = [each for each, held in self._names.items() if name in held]
            turn = index % max(1, len(encodings))
            for encoding in encodings[turn : turn + 1] if quick else encodings:
                outcome = self._oracle.judge(self._file(name, encoding), self._rows[name])
                self._oracle.normal |= outcome.events
                outcomes[f"{name} as {encoding}"] = outcome
        self.counts["models"] = len({name for held in self._names.values() for name in held})
        self.counts["files"] = len(outcomes)
        for name, outcome in outcomes.items():
            problems = [each for each in outcome.problems if not each.startswith("event: ")]
            is_unread = name.partition(" as ")[2] in natives.UNREAD
            if outcome.verdict != "pass" or (outcome.status != "answered" and not is_unread):
                problems.append(f"{outcome.verdict}, {outcome.status}: {outcome.detail}")
            self.found += [f"unchanged {name}: {problem}" for problem in problems]

    def _file(self, name: str, encoding: str) -> bytes:
        key = name, encoding
        if key not in self._files:
            if encoding in natives.ENCODINGS:
                data = natives.original(name)
            elif encoding == "skops":
                data = archives.original(self._models[name])
            else:
                data = pickles.original(self._models[name], encoding)
            self._files[key] = data
        return self._files[key]

    def mutate(self, seed: int, number: int, keep: Path | None) -> None:
        """Make one file, which the seed and the number determine, and judge it."""
        chance = random.Random(f"{seed} {number}")
        encoding = chance.choice(list(self._names))
        name, other = chance.choice(self._names[encoding]), chance.choice(self._names[encoding])
        self.counts["mutations"] += 1
        try:
            data, changes = self._mutated(name, encoding, other, chance)
        except Exception:  # what the changes made is nothing that can be saved
            self.counts["not written"] += 1
            return
        if data == self._file(name, encoding):
            self.counts["unchanged"] += 1
            return
        outcome = self._oracle.judge(data, self._rows[name])
        self._count(outcome)
        for problem in outcome.problems:
            self.found.append(f"{seed}/{number} {name} as {encoding}: {changes}: {problem}")
        if outcome.problems and keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{seed}-{number}").write_bytes(data)

    def _mutated(self, name: str, encoding: str, other: str, chance: Any) -> tuple[bytes, str]:
        if encoding not in pickles.PICKLERS:
            files = self._file(name, encoding), self._file(other, encoding)
            if encoding == "skops":
                return archives.mutated(*files, chance)
            return natives.mutated(encoding, *files, chance)
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


def _can_be(name: str, encoding: str) -> bool:
    if name in natives.FILES or encoding in natives.ENCODINGS:
        return name in natives.FILES and natives.FILES[name][0] == encoding
    return encoding != "skops" or name not in models.NOT_IN_SKOPS


if __name__ == "__main__":
    sys.exit(main())
