"""The package follows docs/architecture.md, whose tables are the data of these tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "modelpack"
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text()
IN_THE_IMAGE = {
    "catboost",
    "flask",
    "google",
    "grpc",
    "gunicorn",
    "h5py",
    "joblib",
    "keras",
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
    "torch",
    "werkzeug",
    "xgboost",
}
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
"""Dotted path below the package -> file; that of a folder ends in `__init__`."""
VAGUE_NAMES = {
    "asked", "found", "here", "judged", "laid", "made", "of", "opened", "said", "settled", "there",
    "told", "words"
}  # fmt: skip
"""Names that do not describe a value or the result of a function."""
IDIOMS = {
    "ask", "asked", "asks", "beside", "everyone", "made", "nobody", "said", "say", "says",
    "somebody", "tell", "tells", "told", "vouch", "vouches", "whoever", "whom"
}  # fmt: skip
"""Words that occur in no name of tests and scripts: docs and errors avoid them, too."""
TEST_FOLDERS = ("benchmarks", "clients", "scripts", "serving/abuse", "support")
"""Folders of tests/ that are not folders of the package. Those of data may have any folders."""
DATA_FOLDERS = ("bundles", "data", "golden")


def rows(name: str) -> list[list[list[str]]]:
    """Return the names in backticks of each cell of a table between two HTML comments."""
    table = DOCUMENT.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]
    lines = table.splitlines()[2:]  # below the header
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:-1]] for line in lines]


ALLOWED = {part: set(names) for parts, names in rows("imports") for part in parts}
FOLDERS = [Path(folder) for folders, *_ in rows("folders") for folder in folders]


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of each import in a file at any depth, relative ones made absolute."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((module, alias.name) for alias in node.names)


def imported_files(path: Path) -> set[str]:
    """Return the keys in `FILES` of what a file imports from the package."""
    keys = set()
    for module, name in imported(path):
        top, _, rest = module.partition(".")
        if top == PACKAGE.name:
            dotted = [".".join(filter(None, (rest, name))), rest]
            candidates = [key for each in dotted for key in (each, f"{each}.__init__".lstrip("."))]
            keys.add(next(key for key in candidates if key in FILES))
    return keys


def top_folder(key: str) -> str:
    return key.partition(".")[0]


def is_allowed(key: str, names: set[str]) -> bool:
    """`engines` allows a whole folder, `engines.local_base` one file of it."""
    return bool(names & {top_folder(key), key})


@pytest.mark.parametrize("part", sorted({top_folder(key) for key in FILES}))
def test_part_imports_only_what_the_document_allows(part: str) -> None:
    outside = {
        f"{key} imports {target}"
        for key, path in FILES.items()
        if top_folder(key) == part
        for target in imported_files(path)
        if top_folder(target) != part and not is_allowed(target, ALLOWED[part])
    }
    assert outside == set()


def test_import_table_names_only_what_exists() -> None:
    parts = {top_folder(key) for key in FILES}
    assert set(ALLOWED) == parts
    assert {name for names in ALLOWED.values() for name in names} <= parts | set(FILES)


def test_no_files_import_each_other_in_a_cycle() -> None:
    """Imports inside functions and below `TYPE_CHECKING` count."""
    graph = TopologicalSorter({key: imported_files(path) for key, path in FILES.items()})
    try:
        graph.prepare()
    except CycleError as error:
        pytest.fail("; ".join(f"{b} imports {a}" for a, b in pairwise(error.args[1])))


def test_folder_table_has_each_folder_once() -> None:
    assert sorted(FOLDERS) == sorted(
        {path.parent.relative_to(PACKAGE) for path in FILES.values()} - {Path()}
    )


@pytest.mark.parametrize(
    ("name", "file"), sorted(set(re.findall(r"`(\w+)` in\s+`([^`]+\.py)`", DOCUMENT)))
)
def test_table_of_plug_ins_is_in_the_documented_file(name: str, file: str) -> None:
    module = ast.parse((PACKAGE / file).read_text())
    targets = [
        target
        for node in module.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    assert name in {target.id for target in targets if isinstance(target, ast.Name)}


def test_files_and_folders_that_the_document_names_exist() -> None:
    """`NAME` in a path is a file to be added."""
    named = set(re.findall(r"`(\w[\w./]*/[\w.]*|\w+\.(?:py|json))`", DOCUMENT))
    bases = (ROOT, PACKAGE, PACKAGE / "inspection")
    assert [
        name
        for name in sorted(named)
        if "NAME" not in name and not any((base / name).exists() for base in bases)
    ] == []


@pytest.mark.parametrize(("part", "libraries"), [("serving", IN_THE_IMAGE), ("assembly", set())])
def test_part_in_the_image_imports_only_available_libraries(part: str, libraries: set[str]) -> None:
    tops = {
        module.split(".")[0]
        for key, path in FILES.items()
        if top_folder(key) == part
        for module, _ in imported(path)
        if not module.startswith(f"modelpack.{part}")
    }
    assert tops - set(sys.stdlib_module_names) <= libraries


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
NODES = [
    (key, node) for key, path in FILES.items() for node in ast.walk(ast.parse(path.read_text()))
]


def defined_name(node: ast.AST) -> str:
    """Return the name of a definition, a parameter, or a variable but `found` and `words`."""
    if isinstance(node, Definition):
        return node.name.lower()
    if isinstance(node, ast.arg):
        return node.arg
    is_variable = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    return node.id if is_variable and node.id not in {"found", "words"} else ""


def test_names_describe_their_value() -> None:
    names = [(key, defined_name(node)) for key, node in NODES]
    assert [
        f"{key}: {name}"
        for key, name in names
        if name.strip("_") in VAGUE_NAMES or name.lstrip("_").startswith("of_")
    ] == []


@pytest.mark.parametrize("folder", ["benchmarks", "ci", "sample_models", "scripts", "tests"])
def test_names_in_other_folders_describe_their_value(folder: str) -> None:
    """Names of constants count in lower case. Data keeps the scripts that once created it."""
    names = [
        (path.relative_to(ROOT), defined_name(node).lower())
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not {ROOT / "tests" / name for name in DATA_FOLDERS} & set(path.parents)
        for node in ast.walk(ast.parse(path.read_text()))
    ]
    assert [
        f"{path}: {name}"
        for path, name in names
        if name.strip("_") in VAGUE_NAMES - {"words"}
        or name.strip("_").startswith("of_")
        or name.endswith("_of")
        or IDIOMS & set(name.split("_"))
    ] == []


def test_docstrings_begin_with_a_summary() -> None:
    assert [
        f"{key}: {node.name}"
        for key, node in NODES
        if isinstance(node, Definition) and (ast.get_docstring(node) or "").startswith("Raises")
    ] == []


def test_texts_use_the_terms_of_the_documentation() -> None:
    """Docstrings, errors, hints and notices. `make lint` checks the pages."""
    terms = (ROOT / "scripts" / "prose" / "terms.txt").read_text()
    pattern = re.compile(rf"\b({'|'.join(re.findall('^(.+)->', terms, re.MULTILINE))})\b")
    assert [
        f"{key}:{node.lineno}: {match[0]}"
        for key, node in NODES
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in pattern.finditer(node.value)
        if key != "compilation.stop_words"
    ] == []


def test_tests_mirror_the_package() -> None:
    tests = ROOT / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("*.py")} - {Path()}
    expected = {*FOLDERS, *map(Path, TEST_FOLDERS)}
    assert [
        str(folder)
        for folder in sorted(folders)
        if folder not in expected and folder.parts[0] not in DATA_FOLDERS
    ] == []


def test_console_script_is_callable() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    script = settings["options.entry_points"]["console_scripts"].strip()
    module, _, function = script.partition(" = ")[2].partition(":")
    assert callable(getattr(import_module(module), function))


def test_wheel_contains_every_source_file_and_template(wheel: Path) -> None:
    names = (name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name)
    held = {name.partition(".data/data/")[2] or name for name in names}
    manual = {"share/man/man1/modelpack.1"}
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
    assert held == sources | templates | manual


def test_a_wheel_that_is_installed_finds_its_templates(wheel: Path, tmp_path: Path) -> None:
    """The editable installation that runs the tests finds them in tests/bundle/test_render.py."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    question = (
        "import modelpack; from modelpack.bundle import templates;"
        "jinja = templates._environment();"
        "[jinja.get_template(source) for source, _ in templates.TEMPLATES];"
        "print(modelpack.__file__)"
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
