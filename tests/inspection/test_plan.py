"""Each row of the hostile plan has a test.

Rows are numbered 01 to 105. A row's number is at the beginning of the id or of the docstring of a
test or fixture. `BY_NAME` lists the other tests.
"""

import ast
import re
from pathlib import Path

DIRECTORY = Path(__file__).parent
ROWS = set(range(1, 106))

LEFT_OUT = {91: "the plan leaves this number out"}
BY_NAME = {
    64: "test_hostile.py::test_bytes_of_an_array_may_look_like_opcodes",
    77: "test_hostile.py::test_the_name_of_the_file_does_not_matter",
    79: "test_files.py::test_other_formats_are_named",
    92: "test_skops_hostile.py::test_schemas",
    93: "test_skops_hostile.py::test_archives",
    94: "test_invariants.py::test_node",
    95: "test_invariants.py::test_order_of_samples",
    96: "test_invariants.py::test_index_of_a_sparse_matrix",
    97: "test_invariants.py::test_string_that_is_no_xgboost_model",
}
"""Rows whose test has another name."""


def texts(path):
    """The strings of a file: ids of parameters, and docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def leading_rows(text):
    found = re.match(r"(\d{2,3})(?:[: ]|$)", text)
    return {int(found[1])} & ROWS if found else set()


def test_every_row_has_a_test():
    covered = {
        row
        for folder in (DIRECTORY, DIRECTORY.parent / "support")
        for path in folder.glob("*.py")
        if path != Path(__file__)
        for text in texts(path)
        for row in leading_rows(text)
    }
    assert covered | LEFT_OUT.keys() | BY_NAME.keys() == ROWS


def test_the_tests_that_are_named_exist():
    for test_id in BY_NAME.values():
        file, _, function = test_id.partition("::")
        tree = ast.parse((DIRECTORY / file).read_text())
        assert function in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
