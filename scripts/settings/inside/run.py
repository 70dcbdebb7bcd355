"""SEED COUNT [CLASS...]: compare plans of generated settings; print the figures as JSON.

COUNT: settings of each class at most; 0 for as many as it takes to try each value of each parameter
at least once. Run by the interpreter of a release, with the repository in PYTHONPATH.
"""

import json
import random
import sys
import time
import warnings
import zlib

import numpy as np
import sklearn

from modelpack.serving.runtimes.plans import COMPILERS
from modelpack.serving.runtimes.plans.compiler import RecordsOnly

from . import compare, models

EXTREMES = 27
"""Rows with values at limits, of each model."""
TURNS = 2
"""How often a value is tried by itself that went into no model before."""


def designs(options, count, draw):
    """Yield settings in which each value of each parameter comes up in turn; first the defaults."""
    orders = {name: draw.sample(values, len(values)) for name, values in options.items()}
    needed = 1 + max(map(len, orders.values()), default=0)
    required = {
        name: values[0] for name, values in options.items() if name in models.MEMBERS.split()
    }
    yield required
    for number in range((count or 2 * needed) - 1):
        yield {
            name: values[(number + shift) % len(values)]
            for shift, (name, values) in enumerate(sorted(orders.items()))
            if number < needed or draw.random() < 0.5 or name in required
        }


class Figures(dict):
    """Counts and findings over all classes, as JSON."""

    def __init__(self):
        counts = ("models", "planned", "unfit", "same", "doubted", "refused")
        super().__init__(sklearn=sklearn.__version__, **dict.fromkeys(counts, 0))
        self.update(unplanned={}, untried=[], differences=[], unplanned_classes=[], errors={})

    def add(self, name, kind, seed, count):
        """Compare the plans of a class."""
        draw = random.Random(zlib.crc32(name.encode()) + seed)
        options = models.options(kind)
        self._untried = {
            (key, repr(value)): (key, value) for key in options for value in options[key]
        }
        first = {key: options[key][0] for key in options if key in models.MEMBERS.split()}
        before = self["planned"]
        for number, settings in enumerate(designs(options, count, draw)):
            self._model(name, kind, settings, number, draw)
        for turn in range(0 if count else TURNS):  # what the rest of their settings made impossible
            for number, (key, value) in enumerate(sorted(self._untried.values(), key=repr)):
                settings = dict(first, **models.COMBINED.get(key, {}))
                settings[key] = value
                self._model(name, kind, settings, number + turn, draw)
        self["untried"] += sorted(f"{name}.{key}={value}" for key, value in self._untried)
        if self["planned"] == before:
            self["unplanned_classes"].append(name)

    def _model(self, name, kind, settings, number, draw):
        generator = np.random.default_rng(draw.randrange(2**31))
        try:
            case = models.case(kind, settings, number, generator, EXTREMES)
        except Exception as error:
            self["unfit"] += 1
            self["errors"].setdefault(name, repr(error)[:200])
            return
        self["models"] += 1
        for key, value in settings.items():
            self._untried.pop((key, repr(value)), None)
        tally = compare.Tally()
        reason = compare.compare(case, tally)
        if reason is None:
            self["planned"] += 1
        else:
            self["unplanned"].setdefault(reason, [0, name])[0] += 1
        for figure in ("same", "doubted", "refused"):
            self[figure] += getattr(tally, figure)
        for difference in tally.differences[:2]:
            shown = {key: repr(value) for key, value in settings.items()}
            self["differences"].append([name, shown, case.context, difference])


def run(seed, count, names=()):
    """Return the figures of the classes of these names, of all by default."""
    figures = Figures()
    for name, kind in models.classes().items():
        has_plan = not isinstance(COMPILERS[name], RecordsOnly)
        if has_plan and (not names or name in names):
            figures.add(name, kind, seed, count)
    return figures


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    result = run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    result["seconds"] = round(time.process_time(), 1)
    print(json.dumps(result))
