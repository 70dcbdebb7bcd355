"""Altered models as pickles and as skops archives."""

import re

import skops.io
from altered_models import CODE, assert_refused

from modelpack.inspection.inspector import inspect

NOTES = {"not-a-model", "no-prediction"}


def skops_findings(altered, folder):
    skops.io.dump(altered, folder / "model")
    return [f for f in inspect(folder / "model").safety.findings if f.code not in NOTES]


def assert_refused_in_both(altered, folder, words):
    assert_refused(altered, folder, words, 5)
    found = skops_findings(altered, folder)
    assert [f.code for f in found] == [CODE]
    assert re.search(words, found[0].message)
