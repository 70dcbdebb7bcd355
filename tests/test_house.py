"""The rules of the house: imports go down only, folders agree with their tables."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "modelpack"
STAGES = {
    "inspection", "code", "reference", "environment", "bundle", "engines", "hardening", "smoke",
    "comparison",
}  # fmt: skip
SHARED = {"spec", "errors", "service"}
HELPERS = {
    "_version", "agreement", "assembly", "attest", "cache", "elf", "oci", "quoting", "reaper",
    "uv_variables", "wheel_platforms", "files",
}  # fmt: skip
# What each part may import of ours; a part may always import itself.
ALLOWED = {
    "errors": set(),
    "elf": set(),
    "spec": set(),
    "service": set(),
    "uv_variables": {"errors", "spec"},
    "attest": {"_version", "errors", "oci", "reaper", "spec"},
    "wheel_platforms": set(),
    "files": set(),
    "agreement": set(),
    "hardening": SHARED | HELPERS,
    "assembly": set(),
    "cache": {"reaper"},
    "oci": {"errors", "reaper", "cache", "files"},
    "serving": set(),
    **dict.fromkeys(STAGES, SHARED | HELPERS),
    "pipeline": STAGES | SHARED | {"attest", "cache", "hardening", "oci", "reaper"},
    "doctor": STAGES | SHARED | {"oci", "uv_variables"},
    "settings": SHARED | {"files"},
    "recording": SHARED | {"reference", "files"},
    "console": STAGES | SHARED | {"pipeline", "doctor", "files"},
    "arguments": SHARED | {"engines", "pipeline", "settings"},
    "cli": STAGES | SHARED | {"arguments", "pipeline", "doctor", "console", "settings"},
}
IN_THE_IMAGE = {
    "catboost",
    "flask",
    "gunicorn",
    "joblib",
    "lightgbm",
    "lz4",
    "pyarrow",
    "numpy",
    "onnxruntime",
    "orjson",
    "opentelemetry",
    "pandas",
    "scipy",
    "prometheus_client",
    "sklearn",
    "skops",
    "werkzeug",
    "xgboost",
}


def parts() -> dict[str, list[Path]]:
    """Part of the house -> its source files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(part, []).append(path)
    return found


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, relative ones made absolute, wherever they stand in it."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def ours(path: Path) -> set[str]:
    dotted = (name.split(".") for name in imported(path))
    return {words[1] for words in dotted if words[0] == "modelpack" and len(words) > 1}


@pytest.mark.parametrize("part", sorted(set(ALLOWED) & set(parts())))
def test_imports_go_down_only(part: str) -> None:
    names = {name for path in parts()[part] for name in ours(path)}
    modules = set(parts())
    assert (names & modules) - {part} <= ALLOWED[part]


def test_every_part_has_its_rule() -> None:
    assert set(parts()) - set(ALLOWED) <= {"__init__", "_version", "__main__", "quoting", "reaper"}


def test_serving_imports_only_what_the_image_holds() -> None:
    tops = {
        name.split(".")[0]
        for path in parts()["serving"]
        for name in imported(path)
        if not name.startswith("modelpack.serving")
    }
    assert tops - set(sys.stdlib_module_names) <= IN_THE_IMAGE


def first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", paragraph)[0]


def test_the_architecture_has_a_line_a_module() -> None:
    """`MODELPACK_UPDATE_DOCS=1 pytest tests/test_house.py` writes the lines anew."""
    lines = ["| module | its job |", "|---|---|"]
    for path in sorted(PACKAGE.rglob("*.py")):
        lines.append(f"| `{path.relative_to(PACKAGE)}` | {first_sentence(path)} |")
    document = ROOT / "docs" / "architecture.md"
    before, opening, rest = document.read_text().partition("<!-- modules -->\n")
    _, closing, after = rest.partition("<!-- /modules -->\n")
    wanted = f"{before}{opening}" + "\n".join(lines) + f"\n{closing}{after}"
    if os.environ.get("MODELPACK_UPDATE_DOCS"):
        document.write_text(wanted)
    assert document.read_text() == wanted


def test_the_wheel_holds_every_source_file_and_template(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.suffix in {".py", ".json", ".html", ".css", ".js"} or path.name == "py.typed"
    }
    templates = {
        f"modelpack/{path.relative_to(ROOT)}"
        for path in (ROOT / "templates").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == sources | templates


def test_a_wheel_that_is_installed_finds_its_templates(wheel: Path, tmp_path: Path) -> None:
    """The editable installation that runs the tests finds them in tests/test_bundle.py."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    question = (
        "import modelpack; from modelpack.bundle import render as bundle; jinja = bundle._jinja();"
        "[jinja.get_template(source) for source, _ in bundle.TEMPLATES]; print(modelpack.__file__)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", question],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == str(tmp_path / "modelpack" / "__init__.py")
