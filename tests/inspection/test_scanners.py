"""Blocklist scanners as oracles, and the figures of docs/security.md for the releases it names.

Each alarm of a scanner on a file that passes here has a reason.
"""

import pickle
import re
import sys
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
import scanners
from families import NAMES, dumped_by_joblib, value_by_name
from public_attacks import CASES, FAMILIES

from modelpack.inspection.inspector import inspect

DATA = Path(__file__).parents[1] / "data"
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"

REASONS = {
    "builtins:getattr": "of a frozen distribution of scipy, and `_entropy` alone",
    "__builtin__:getattr": "the same in protocols below 3",
    "functools:partial": "around check_array of scikit-learn alone",
    "joblib.numpy_pickle:NumpyArrayWrapper": "what every array of joblib is wrapped in",
    "numpy.random._pickle:__bit_generator_ctor": "makes a generator that is one of numpy's",
    "numpy.random._pickle:__generator_ctor": "the same",
    "numpy.random._pickle:__randomstate_ctor": "the same",
}


@cache
def honest():
    """Real files of every family, as pickle and joblib write them, and those of KServe."""
    files = [path.read_bytes() for path in sorted(DATA.glob("kserve/*/model.*"))]
    for name in NAMES:
        files += [pickle.dumps(value_by_name(name), protocol) for protocol in (2, 4, 5)]
        files.append(dumped_by_joblib(value_by_name(name)))
    return files


def test_each_scanner_alarm_on_an_accepted_file_has_a_reason(tmp_path):
    path = tmp_path / "m"
    for data in honest():
        path.write_bytes(data)
        assert inspect(path).safety.verdict == "pass"
        dangerous = (scanners.picklescan(data) or set()) | scanners.fickling_imports(data)
        assert dangerous <= REASONS.keys()


def test_scanners_report_dangerous_files():
    data = FAMILIES["another extension"][1][0]
    assert scanners.picklescan(data) == {"posix:system"}
    assert scanners.fickling_imports(data) == {"posix:system"}


@cache
def measured():
    """Scanner -> honest files that it finds clean, hostile ones that it does not."""
    clean, caught = Counter(), Counter()
    for data in honest():
        clean.update({key: 1 for key, is_clean in scanners.is_clean(data).items() if is_clean})
    for case in CASES:
        found = scanners.is_clean(case.values[0])
        caught.update({key: 1 for key, is_clean in found.items() if not is_clean})
    return {key: (clean[key], caught[key]) for key in scanners.is_clean(b"N.")}


def test_the_figures_of_the_document():
    document = DOCUMENT.read_text()
    releases = dict(re.findall(r"(picklescan|fickling) (\d+\.\d+\.\d+)", document))
    is_python = f"by Python {sys.version_info[0]}.{sys.version_info[1]}" in document
    if not is_python or releases != {key: version(key) for key in ("picklescan", "fickling")}:
        pytest.skip("the figures are those of other releases")
    for scanner, (clean, caught) in measured().items():
        row = f"| {scanner} | {clean} of {len(honest())} | {caught} of {len(CASES)} |"
        assert row in document
    assert f"| modelpack | {len(honest())} of {len(honest())} | {len(CASES)} of {len(CASES)} |" in (
        document
    )
