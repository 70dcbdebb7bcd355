"""Commands start quickly because they import only what they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelpack import engines
from modelpack.cli import options
from modelpack.pipeline import predict

MODEL = Path(__file__).parents[2] / "sample_models" / "kserve-svc" / "model.joblib"

STAGES = {
    "modelpack.attestations", "modelpack.bundle", "modelpack.comparison", "modelpack.engines",
    "modelpack.environment", "modelpack.hardening", "modelpack.oci", "modelpack.parity",
    "modelpack.pipeline.package", "modelpack.pipeline.stages", "modelpack.smoke",
    "modelpack.user_code",
}  # fmt: skip
LIBRARIES = {"docker", "jinja2", "numpy", "packaging", "pandas", "requests", "sklearn"}
OUTPUT = {"cattrs", "rich"}
READERS = {
    f"modelpack.inspection.{name}" for name in ("contracts", "formats", "inspector", "policy")
}
NEVER = STAGES | LIBRARIES | READERS

RUN = """
import sys
from modelpack.cli import run
try:
    run()
finally:
    print("imported:", *sys.modules, file=sys.stderr)
"""


def imported(code: str, *arguments: str) -> set[str]:
    """Run code in a new process that prints its modules."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, check=False, text=True
    )
    return set(done.stderr.partition("imported: ")[2].split())


@pytest.mark.parametrize(
    ("arguments", "excluded"),
    [
        (["--version"], NEVER | OUTPUT | {"modelpack.inspection", "modelpack.types"}),
        (["--help"], NEVER | OUTPUT | {"modelpack.inspection", "modelpack.types"}),
        (["package", "--help"], NEVER | OUTPUT | {"modelpack.inspection", "modelpack.types"}),
        (["package", "--wrong"], NEVER | OUTPUT | {"modelpack.inspection", "modelpack.types"}),
        (["inspect", str(MODEL)], NEVER),
        (["inspect", "--json", str(MODEL)], NEVER | {"rich.tree"}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_command_imports_only_what_it_needs(arguments: list[str], excluded: set[str]) -> None:
    modules = imported(RUN, *arguments)
    assert "modelpack.cli.commands" in modules
    assert modules & excluded == set()


def test_inspector_process_imports_only_what_it_needs() -> None:
    code = (
        "import sys, modelpack.inspection.worker; print('imported:', *sys.modules, file=sys.stderr)"
    )
    modules = imported(code)
    excluded = STAGES | OUTPUT | (LIBRARIES - {"packaging"})
    assert "modelpack.inspection.inspector" in modules
    assert modules & (excluded | {"click", "logging", "packaging.specifiers"}) == set()


def test_values_of_options_are_those_of_the_tables() -> None:
    assert tuple(engines.ENGINES) == options.ENGINES
    assert tuple(predict.FORMATS) == options.BATCH_FORMATS
