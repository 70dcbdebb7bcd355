"""The document names every class that has a plan."""

from __future__ import annotations

import os
from pathlib import Path

from modelpack.serving.runtimes import plans

DOCUMENT = Path(__file__).parents[4] / "docs" / "service-speed.md"


def table() -> str:
    """One line a family: what its file is about, and its classes."""
    rows = [
        f"| `{family.__name__.split('.')[-1]}` | {', '.join(sorted(family.COMPILERS))} |"
        for family in plans.FAMILIES
    ]
    return "\n".join(["| file | classes |", "|---|---|", *rows])


def test_each_class_with_a_plan_is_named():
    """`MODELPACK_UPDATE_DOCS=1 pytest tests/serving/runtimes/plans` writes the lines anew."""
    before, opening, rest = DOCUMENT.read_text().partition("<!-- plans -->\n")
    _, closing, after = rest.partition("<!-- /plans -->\n")
    expected = f"{before}{opening}{table()}\n{closing}{after}"
    if os.environ.get("MODELPACK_UPDATE_DOCS") and not os.environ.get("CI"):
        DOCUMENT.write_text(expected)
    assert DOCUMENT.read_text() == expected


def test_no_class_has_two_plans():
    assert len(plans.COMPILERS) == sum(len(family.COMPILERS) for family in plans.FAMILIES)
