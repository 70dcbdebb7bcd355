"""Change one place of the code at a time, and check that a test fails.

    python scripts/mutate.py                                  # 60 mutants of all MODULES
    python scripts/mutate.py --count 100 --seed 1 oci/ media/ # of modules with these in their path

Mutants are created in a copy of the working tree. A mutant survives if all tests of its module
pass: a test is missing, or the change has no effect. The choice of mutants depends on the seed and
the code alone. The exit status is 1 if a test fails without a mutant.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import accumulate, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
NOT_COPIED = (".git", ".venv", ".cache", ".*_cache", ".hypothesis", "__pycache__")
PYTEST = (sys.executable, "-m", "pytest", "-qx", "-pno:cacheprovider", "--tb=no")
SELECTED = "-mnot engine and not slow"
NOT_RUN = {"annotation", "returns", "decorator_list"}
TIMEOUT, IMPORT = "timeout", "import"
INSPECTION = "inspection/test_allowlist.py inspection/test_hostile_files.py"
MODULES = {
    "inspection/policy.py": f"{INSPECTION} inspection/test_forms.py inspection/test_own_classes.py",
    "inspection/verdicts.py": f"{INSPECTION} inspection/test_forms.py"
    " inspection/test_own_classes.py",
    "inspection/contracts/*.py": f"{INSPECTION} inspection/test_forms.py",
    "inspection/invariants/lightgbm.py": "inspection/test_native_hostile.py",
    "inspection/invariants/*.py": "inspection/test_invariants*.py",
    "serving/data/*.py": "serving/data/test_[celrt]*.py",
    "serving/media/*.py": "serving/media/test_media.py",
    "serving/server/[bf]a*.py": "serving/server/test_fast_path.py",
    "serving/runtimes/plans/*.py": "serving/runtimes/plans/test_*.py",
    "oci/*.py": "oci/test_[lrtw]*.py",
    "attestations/**/*.py": "attestations/test_*.py",
    "environment/*.py": "environment/test_*.py",
}
"""Modules that decide what is accepted -> their tests, of which one of the same name is enough.

The first pattern that fits a module counts. Files that take minutes are left out.
"""

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """A module with the source of one node replaced."""

    module: str
    tests: str
    line: int
    before: str
    after: str
    source: bytes

    def __str__(self) -> str:
        before, after = (" ".join(text.split())[:60] for text in (self.before, self.after))
        return f"{self.module}:{self.line}: {before} -> {after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", nargs="*", default=[""], help="part of the path of a module")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the tests of one")
    arguments = parser.parse_args()
    chosen = _choose(arguments.part, arguments.count, arguments.seed)
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = _Tree(Path(folder))
        for number, mutant in enumerate(chosen, 1):
            failure = tree.run_mutant(mutant, arguments.timeout)
            survivors += [] if failure else [mutant]
            print(f"{number}/{len(chosen)} {mutant}: {failure or 'SURVIVED'}", flush=True)
    print(f"\n{len(chosen) - len(survivors)} of {len(chosen)} mutants were noticed. Survivors:")
    print("\n".join(map(str, survivors)) or "none")
    return 0


def _choose(parts: list[str], count: int, seed: int) -> list[Mutant]:
    """Return the same number of mutants of each line of MODULES, as far as it has so many."""
    chance, seen, lines = random.Random(seed), set[Path](), []
    for pattern, tests in MODULES.items():
        paths = sorted(set((ROOT / "modelpack").glob(pattern)) - seen)
        seen.update(paths)
        selected = [path for path in paths if any(part in str(path) for part in parts)]
        mutants = [mutant for path in selected for mutant in _mutants(path, tests)]
        lines.append(chance.sample(mutants, min(count, len(mutants))))
    rounds = (mutant for some in zip_longest(*lines) for mutant in some if mutant)
    return list(islice(rounds, count))


class _Tree:
    """A copy of the working tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._confirmed = {TIMEOUT, IMPORT}  # tests that pass without a mutant
        ignored = shutil.ignore_patterns(*NOT_COPIED)
        shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
        if failed := self._run(["tests/test_types.py"], 600):
            sys.exit(f"tests cannot be run: {failed}")

    def run_mutant(self, mutant: Mutant, timeout: float) -> str:
        """Return the test that fails with a mutant and passes without it, or ""."""
        path = self._folder / mutant.module
        original = path.read_bytes()
        path.write_bytes(mutant.source)
        tests = [
            str(p) for name in mutant.tests.split() for p in (self._folder / "tests").glob(name)
        ]
        own = [test for test in tests if test.endswith(f"test_{path.name}")]
        try:
            failed = self._run(own or sorted(tests), timeout)
        finally:
            path.write_bytes(original)
        if failed and failed not in self._confirmed:
            if self._run([failed], timeout):
                sys.exit(f"{failed} fails without a mutant.")
            self._confirmed.add(failed)
        return failed

    def _run(self, tests: list[str], timeout: float) -> str:
        """Run tests until one fails, and return it."""
        more = {"PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "999"}
        with subprocess.Popen(
            [*PYTEST, SELECTED, *tests], cwd=self._folder, env={**os.environ, **more}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return TIMEOUT
        if not process.returncode:
            return ""
        found = re.search(r"(?m)^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output)
        return found[1] if found else IMPORT  # by tests/conftest.py


def _mutants(path: Path, tests: str) -> Iterator[Mutant]:
    data = path.read_bytes()
    lines = [0, *accumulate(map(len, data.splitlines(keepends=True)))]
    for node in _nodes(ast.parse(data)):
        start = lines[node.lineno - 1] + node.col_offset
        end = lines[node.end_lineno - 1] + node.end_col_offset
        for changed in _changes(node):
            after = ast.unparse(changed)
            after = f"({after})" if isinstance(node, ast.expr) else after
            texts = (data[start:end].decode(), after, data[:start] + after.encode() + data[end:])
            yield Mutant(str(path.relative_to(ROOT)), tests, node.lineno, *texts)


def _nodes(tree: ast.AST) -> Iterator[Any]:
    """Yield what runs: neither annotations, nor messages of errors, nor f-strings."""
    for name, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.JoinedStr | ast.Raise) or name in NOT_RUN:
                continue
            if isinstance(node, ast.expr | ast.stmt):
                yield node
            if isinstance(node, ast.AST):
                yield from _nodes(node)


def _changes(node: Any) -> Iterator[ast.AST]:
    """Yield the node with one change."""
    changed = copy.deepcopy(node)
    match node:
        case ast.Compare(ops=ops):
            for index, operator in enumerate(ops):
                changed.ops = [*ops[:index], OPPOSITES[type(operator)](), *ops[index + 1 :]]
                yield changed
        case ast.Constant(value=True | False as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.BoolOp(op=operator):
            changed.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield changed
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Call() if len(node.args) + len(node.keywords) > 1:
            (changed.keywords or changed.args).pop()
            yield changed


if __name__ == "__main__":
    sys.exit(main())
