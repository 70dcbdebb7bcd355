"""Formulas of statsmodels: which texts are formulas and nothing else.

patsy runs every piece of a formula as an expression of Python. This parser accepts sums and
products of terms: names of columns, numbers, and calls of a closed list of functions that compute
with columns. It accepts no other call, no attribute, no index, and text only as a value.
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
_OF_TWO = {"arctan2", "hypot", "maximum", "minimum", "power"}
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
"""Function of patsy -> the keywords that it may be called with."""

RESERVED = {"Q", "np", "te", *_CONTRASTS, *_KEYWORDS}
"""Names with a meaning of their own: a column of such a name would take the place of a function."""

_LONGEST = 100_000
_DEEPEST = 20
_MOST_TERMS = 10_000
_LARGEST_POWER = 16
_LARGEST = {"df": 1_000, "degree": 5, "ddof": 1_000}
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
_LONGEST_NUMBER = 30


class NotAFormula(Exception):  # noqa: N818 - a fact about a text, not an error of modelpack
    """The text is not a formula of the grammar; the message contains the reason."""


@dataclass
class Formula:
    """The columns of a formula in the order in which they occur.

    Attributes:
        response: Columns on the left of the tilde.
        inputs: Columns on the right of the tilde.
        coded: Columns that are made categories by C().
    """

    response: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    coded: set[str] = field(default_factory=set)


def parse(text: str) -> Formula:
    """Return the columns of a formula with two sides.

    Raises:
        NotAFormula: The text does not follow the grammar.
    """
    if len(text) > _LONGEST:
        raise NotAFormula(f"it has over {_LONGEST:,} characters")
    return _Parser(_tokens(text)).formula()


def _tokens(text: str) -> list[tuple[str, str]]:
    """Split a formula into pairs of a kind and the characters."""
    found = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise NotAFormula(f"it has {text[place]!a} where no term may have it")
        if match.lastgroup != "space":
            found.append((match.lastgroup, match[0]))
        place = match.end()
    return [*found, ("end", "")]


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0
        self.names: list[str] = []
        self.coded: set[str] = set()

    def formula(self) -> Formula:
        self._terms()
        response = self._taken()
        self._expect("~")
        self._terms()
        if self.kind != "end":
            raise self._unexpected()
        return Formula(response, self._taken(), self.coded)

    def _taken(self) -> list[str]:
        found, self.names = list(dict.fromkeys(self.names)), []
        return found

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0]

    @property
    def ahead(self) -> str:
        """The characters of the next token; of a quoted text, nothing."""
        kind, characters = self.tokens[self.place]
        return "" if kind == "text" else characters

    def _next(self) -> str:
        _, characters = self.tokens[self.place]
        self.place += 1
        return characters

    def _expect(self, token: str) -> None:
        if self.ahead != token:
            raise self._unexpected()
        self.place += 1

    def _unexpected(self) -> NotAFormula:
        kind, characters = self.tokens[self.place]
        return NotAFormula(f"{characters!a} is unexpected" if kind != "end" else "it is incomplete")

    def _deeper(self, rule: Callable[[], int]) -> int:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise NotAFormula(f"it is nested over {_DEEPEST} levels deep")
        found = rule()
        self.depth -= 1
        return found

    def _terms(self) -> int:
        """Read terms that are added and removed, and return at most how many they become."""
        if self.ahead in _ADDED:
            self.place += 1
        count = self._term()
        while self.ahead in _ADDED:
            self.place += 1
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
            self.place += 1
            count = _bounded(count * self._power())
        return count

    def _power(self) -> int:
        count = self._factor()
        while self.ahead == "**":
            self.place += 1
            for _ in range(self._exponent() - 1):
                count = _bounded(count * (count + 1))
        return count

    def _factor(self) -> int:
        if self.ahead == "(":
            self.place += 1
            count = self._deeper(self._terms)
            self._expect(")")
            return count
        if self.kind == "number":
            if self.ahead not in {"0", "1"}:
                raise NotAFormula(f"{self.ahead} is no term")
            self.place += 1
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
            raise NotAFormula(f"{name!a} is no name of a column")
        self.names.append(name)
        return True

    def _call(self, name: str) -> None:
        if name == "np":
            self._expect(".")
            name = self._next()
            if name not in _NUMPY:
                raise NotAFormula(f"it calls np.{ascii(name)[1:-1]}")
            self._expect("(")
            self._deeper(self._sum)
            if name in _OF_TWO:
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
            first = len(self.names), self.place
            self._deeper(self._sum)
            if name == "C" and self.place == first[1] + 1:  # a column alone
                self.coded.update(self.names[first[0] :])
            if name == "C" and self.ahead == "," and self._is_contrast():
                self.place += 1
                self._contrast()
            self._keywords(_KEYWORDS[name])
        else:
            raise NotAFormula(f"it calls {name!a}")
        self._expect(")")

    def _is_contrast(self) -> bool:
        return self.tokens[self.place + 1][1] in _CONTRASTS

    def _splines(self) -> None:
        """Read the smooths of a tensor product."""
        while self.ahead in {"cc", "cr"}:
            self._column_or_call()
            if self.ahead != ",":
                return
            if self.tokens[self.place + 1][1] not in {"cc", "cr"}:
                break
            self.place += 1
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
        self.place += 1
        if self.ahead in {"omit", "reference", "scores"}:
            self.place += 1
            self._expect("=")
        if self.ahead != ")":
            self._value(name)
        self._expect(")")

    def _keywords(self, known: set[str]) -> None:
        while self.ahead == ",":
            self.place += 1
            name = self._next()
            if name not in known:
                raise NotAFormula(f"{name!a} is no known argument")
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
            self.place += 1
            self._number()
        elif self.kind == "number":
            value = self._number()
            if value > _LARGEST.get(name, value):
                raise NotAFormula(f"{name} is over {_LARGEST[name]:,}")
        elif self.kind == "text" or self.ahead in _FLAGS:
            self.place += 1
        else:
            raise self._unexpected()

    def _number(self) -> float:
        if self.kind != "number" or len(self.ahead) > _LONGEST_NUMBER:
            raise self._unexpected()
        return float(self._next())

    def _exponent(self) -> int:
        if self.kind != "number" or not self.ahead.isdigit():
            raise self._unexpected()
        value = self._number()
        if not 1 <= value <= _LARGEST_POWER:
            raise NotAFormula(f"an exponent is not between 1 and {_LARGEST_POWER}")
        return int(value)

    def _sum(self) -> int:
        """Read arithmetic of columns and numbers, which may be compared once."""
        self._added()
        if self.ahead in _COMPARED:
            self.place += 1
            if self.kind == "text":
                self.place += 1
            else:
                self._added()
        return 0

    def _added(self) -> bool:
        found = self._multiplied()
        while self.ahead in _ADDED:
            self.place += 1
            found |= self._multiplied()
        return found

    def _multiplied(self) -> bool:
        found = self._raised()
        while self.ahead in _MULTIPLIED:
            self.place += 1
            found |= self._raised()
        return found

    def _raised(self) -> bool:
        while self.ahead in _ADDED:
            self.place += 1
        found = self._operand()
        if self.ahead == "**":
            self.place += 1
            if self.ahead == "-":
                self.place += 1
            # Python has no largest integer, so a power of numbers could take all memory.
            if not found or self._number() > _LARGEST_POWER:
                raise NotAFormula(f"a power is not one of a column, up to {_LARGEST_POWER}")
        return found

    def _operand(self) -> bool:
        if self.ahead == "(":
            self.place += 1
            before = len(self.names)
            self._deeper(self._sum)
            self._expect(")")
            return len(self.names) > before
        if self.kind == "number":
            self._number()
            return False
        return self._column_or_call()


def _bounded(count: int) -> int:
    if count > _MOST_TERMS:
        raise NotAFormula(f"it becomes over {_MOST_TERMS:,} terms")
    return count
