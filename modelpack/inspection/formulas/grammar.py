"""The grammar of the formulas that are accepted.

patsy evaluates each part of a formula as a Python expression. This parser accepts sums and products
of terms: names of columns, numbers, and calls of a closed list of functions that compute with
columns. It accepts no other call, no attribute and no index. Texts occur only as values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from keyword import iskeyword
from unicodedata import normalize

_NUMPY = {
    "abs", "absolute", "arccos", "arcsin", "arctan", "arctan2", "cbrt", "ceil", "cos", "cosh",
    "exp", "exp2", "expm1", "fabs", "floor", "hypot", "log", "log10", "log1p", "log2", "maximum",
    "minimum", "negative", "power", "reciprocal", "rint", "round", "sign", "sin", "sinh", "sqrt",
    "square", "tan", "tanh",
}  # fmt: skip
_BINARY = {"arctan2", "hypot", "maximum", "minimum", "power"}
_CONTRASTS = {"Diff", "Helmert", "Poly", "Sum", "Treatment"}
_FLAGS = {"False", "None", "True"}
_KNOTS = {"constraints", "df", "knots", "lower_bound", "upper_bound"}
_KEYWORDS = {
    "C": {"contrast", "levels"},
    "I": set[str](),
    "bs": {"degree", "df", "include_intercept", "knots", "lower_bound", "upper_bound"},
    "cc": _KNOTS,
    "center": set[str](),
    "cr": _KNOTS,
    "scale": {"center", "ddof", "rescale"},
    "standardize": {"center", "ddof", "rescale"},
}
"""Function of patsy -> the keywords that are accepted."""

RESERVED = {"Q", "np", "te", *_CONTRASTS, *_KEYWORDS}
"""Names of functions: a column of the same name would replace the function."""

_MAX_LENGTH = 100_000
_MAX_DEPTH = 20
_MAX_TERMS = 10_000
_MAX_POWER = 16
_MAX_VALUES = {"df": 1_000, "degree": 5, "ddof": 1_000}
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    |(?P<name>[^\W\d]\w*)
    |(?P<text>"[^"\\\r\n]*"|'[^'\\\r\n]*')
    |(?P<sign>\*\*|//|[<>=!]=|[-+*/:~()\[\],.=<>%])""",
    re.VERBOSE,
)
_ADDED, _MULTIPLIED = {"+", "-"}, {"*", "/", "//", "%"}
_COMPARED = {"<", ">", "<=", ">=", "==", "!="}
_MAX_NUMBER_LENGTH = 30


class NotAFormula(Exception):  # noqa: N818 - a fact about a text, not an error of modelpack
    """The text is not a formula of the grammar; the message contains the reason."""


@dataclass
class Formula:
    """The columns of a formula in the order in which they occur.

    Attributes:
        response: Columns on the left of the tilde.
        inputs: Columns on the right of the tilde.
        coded: Columns that C() converts to categories.
    """

    response: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    coded: set[str] = field(default_factory=set)


def parse(text: str) -> Formula:
    """Return the columns of a formula with two sides.

    Raises:
        NotAFormula: The text does not follow the grammar.
    """
    if len(text) > _MAX_LENGTH:
        raise NotAFormula(f"it has more than {_MAX_LENGTH:,} characters")
    return _Parser(_tokens(text)).formula()


def _tokens(text: str) -> list[tuple[str, str]]:
    """Split a formula into pairs of a kind and the characters."""
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise NotAFormula(f"{text[position]!r} is not part of a term")
        if match.lastgroup != "space":
            found.append((match.lastgroup, match[0]))
        position = match.end()
    return [*found, ("end", "")]


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.names: list[str] = []
        self.coded: set[str] = set()

    def formula(self) -> Formula:
        self._terms()
        response = self._take_names()
        self._expect("~")
        self._terms()
        if self.kind != "end":
            raise self._unexpected()
        return Formula(response, self._take_names(), self.coded)

    def _take_names(self) -> list[str]:
        found, self.names = list(dict.fromkeys(self.names)), []
        return found

    @property
    def kind(self) -> str:
        return self.tokens[self.position][0]

    @property
    def ahead(self) -> str:
        """The characters of the next token, or "" for a quoted text."""
        kind, characters = self.tokens[self.position]
        return "" if kind == "text" else characters

    def _next(self) -> str:
        _, characters = self.tokens[self.position]
        self.position += 1
        return characters

    def _expect(self, token: str) -> None:
        if self.ahead != token:
            raise self._unexpected()
        self.position += 1

    def _unexpected(self) -> NotAFormula:
        kind, characters = self.tokens[self.position]
        return NotAFormula(f"{characters!r} is unexpected" if kind != "end" else "it is incomplete")

    def _deeper(self, rule: Callable[[], int]) -> int:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise NotAFormula(f"it is nested more than {_MAX_DEPTH} levels deep")
        found = rule()
        self.depth -= 1
        return found

    def _terms(self) -> int:
        """Read added and removed terms, and return the maximum number of terms that result."""
        if self.ahead in _ADDED:
            self.position += 1
        count = self._term()
        while self.ahead in _ADDED:
            self.position += 1
            count = _bounded(count + self._term())
        return count

    def _term(self) -> int:
        count = self._interaction()
        while self.ahead in {"*", "/"}:
            is_product = self._next() == "*"
            other = self._interaction()
            count = _bounded(count + other + (count * other if is_product else 0))
        return count

    def _interaction(self) -> int:
        count = self._power()
        while self.ahead == ":":
            self.position += 1
            count = _bounded(count * self._power())
        return count

    def _power(self) -> int:
        count = self._factor()
        while self.ahead == "**":
            self.position += 1
            for _ in range(self._exponent() - 1):
                count = _bounded(count * (count + 1))
        return count

    def _factor(self) -> int:
        if self.ahead == "(":
            self.position += 1
            count = self._deeper(self._terms)
            self._expect(")")
            return count
        if self.kind == "number":
            if self.ahead not in {"0", "1"}:
                raise NotAFormula(f"{self.ahead} is not a term")
            self.position += 1
        else:
            self._column_or_call()
        return 1

    def _column_or_call(self) -> bool:
        """Read a column or a call, and return whether a column occurs in it."""
        if self.kind != "name":
            raise self._unexpected()
        name = self._next()
        if self.ahead == "(" or name in RESERVED:
            before = len(self.names)
            self._call(name)
            return len(self.names) > before
        if iskeyword(name) or normalize("NFKC", name) != name or name.startswith("__"):
            raise NotAFormula(f"{name!r} is not a valid column name")
        self.names.append(name)
        return True

    def _call(self, name: str) -> None:
        if name == "np":
            self._expect(".")
            name = self._next()
            if name not in _NUMPY:
                raise NotAFormula(f"it calls np.{repr(name)[1:-1]}")
            self._expect("(")
            self._deeper(self._sum)
            if name in _BINARY:
                self._expect(",")
                self._deeper(self._sum)
        elif name == "Q":
            self._expect("(")
            self.names.append(self._quoted())
        elif name == "te":
            self._expect("(")
            self._splines()
        elif name in _KEYWORDS:
            self._expect("(")
            first = len(self.names), self.position
            self._deeper(self._sum)
            if name == "C" and self.position == first[1] + 1:  # only a column
                self.coded.update(self.names[first[0] :])
            if name == "C" and self.ahead == "," and self._is_contrast():
                self.position += 1
                self._contrast()
            self._keywords(_KEYWORDS[name])
        else:
            raise NotAFormula(f"it calls {name!r}")
        self._expect(")")

    def _is_contrast(self) -> bool:
        return self.tokens[self.position + 1][1] in _CONTRASTS

    def _splines(self) -> None:
        """Read the smooths of a tensor product."""
        while self.ahead in {"cc", "cr"}:
            self._column_or_call()
            if self.ahead != ",":
                return
            if self.tokens[self.position + 1][1] not in {"cc", "cr"}:
                break
            self.position += 1
        self._keywords({"constraints"})

    def _quoted(self) -> str:
        if self.kind != "text":
            raise self._unexpected()
        return self._next()[1:-1]

    def _contrast(self) -> None:
        """Read the coding of categories, such as Sum or Treatment("a")."""
        name = self._next()
        if self.ahead != "(":
            return
        self.position += 1
        if self.ahead in {"omit", "reference", "scores"}:
            self.position += 1
            self._expect("=")
        if self.ahead != ")":
            self._value(name)
        self._expect(")")

    def _keywords(self, known: set[str]) -> None:
        while self.ahead == ",":
            self.position += 1
            name = self._next()
            if name not in known:
                raise NotAFormula(f"{name!r} is not a known argument")
            self._expect("=")
            if name == "contrast" and self.ahead in _CONTRASTS:
                self._contrast()
            else:
                self._value(name)

    def _value(self, name: str) -> None:
        """Read a number, a text, a flag, or a list of these."""
        if self.ahead in {"[", "("}:
            closing = "]" if self._next() == "[" else ")"
            while self.ahead != closing:
                self._simple(name)
                if self.ahead != closing:
                    self._expect(",")
            self._expect(closing)
        else:
            self._simple(name)

    def _simple(self, name: str) -> None:
        if self.ahead == "-":
            self.position += 1
            self._number()
        elif self.kind == "number":
            value = self._number()
            if value > _MAX_VALUES.get(name, value):
                raise NotAFormula(f"{name} is over {_MAX_VALUES[name]:,}")
        elif self.kind == "text" or self.ahead in _FLAGS:
            self.position += 1
        else:
            raise self._unexpected()

    def _number(self) -> float:
        if self.kind != "number" or len(self.ahead) > _MAX_NUMBER_LENGTH:
            raise self._unexpected()
        return float(self._next())

    def _exponent(self) -> int:
        if self.kind != "number" or not self.ahead.isdigit():
            raise self._unexpected()
        value = self._number()
        if not 1 <= value <= _MAX_POWER:
            raise NotAFormula(f"an exponent is not between 1 and {_MAX_POWER}")
        return int(value)

    def _sum(self) -> int:
        """Read arithmetic of columns and numbers, which may be compared once."""
        self._added()
        if self.ahead in _COMPARED:
            self.position += 1
            if self.kind == "text":
                self.position += 1
            else:
                self._added()
        return 0

    def _added(self) -> bool:
        return self._chain(_ADDED, self._multiplied)

    def _multiplied(self) -> bool:
        return self._chain(_MULTIPLIED, self._raised)

    def _chain(self, signs: set[str], operand: Callable[[], bool]) -> bool:
        """Read operands with signs between them, and return whether a column occurs in one."""
        found = operand()
        while self.ahead in signs:
            self.position += 1
            found |= operand()
        return found

    def _raised(self) -> bool:
        while self.ahead in _ADDED:
            self.position += 1
        found = self._operand()
        if self.ahead == "**":
            self.position += 1
            if self.ahead == "-":
                self.position += 1
            # Integers of Python are unbounded: a power of numbers could use all memory.
            if not found or self._number() > _MAX_POWER:
                raise NotAFormula(f"a power is not of a column, or is over {_MAX_POWER}")
        return found

    def _operand(self) -> bool:
        if self.ahead == "(":
            self.position += 1
            before = len(self.names)
            self._deeper(self._sum)
            self._expect(")")
            return len(self.names) > before
        if self.kind == "number":
            self._number()
            return False
        return self._column_or_call()


def _bounded(count: int) -> int:
    if count > _MAX_TERMS:
        raise NotAFormula(f"it expands to more than {_MAX_TERMS:,} terms")
    return count
