"""Publicly known bypasses of picklescan, modelscan and fickling.

Each has its report (repository#number). docs/security.md lists them, and a test here compares that
list with this table.
"""

import re
from pathlib import Path

import pytest
from opcodes import (
    STOP,
)
from public_attacks import CASES, FAMILIES

from modelpack.inspection.inspector import inspect

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


# fmt: on
UNKNOWN_LIBRARIES = {
    "torch.utils.collect_env:run",
    "mlflow.projects.backend.local:_run_entry_point",
}


@pytest.mark.parametrize("data", CASES)
def test_none_passes(tmp_path, data):
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    spec = inspect(path)
    # Names of a library that modelpack does not know stay unknown, and need trust.
    unknown = set(spec.globals) & UNKNOWN_LIBRARIES
    assert spec.safety.verdict == ("trust" if unknown else "refuse")


def test_the_document_lists_the_families():
    rows = re.findall(r"^\| ([^|]+?) \| ([\w./-]+#\d+) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert dict(rows) == {family: source for family, (source, _) in FAMILIES.items()}


def test_files_would_be_loaded():
    """Each ends in STOP or is cut on purpose: no fixture is refused for a mistake in writing it."""
    for source, files in FAMILIES.values():
        assert re.fullmatch(r"[\w-]+/[\w-]+#\d+", source)
        assert all(data[-1:] == STOP or b"posix" in data for data in files)
