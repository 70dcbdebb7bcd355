"""`Difference`, its sections, and the two sides.

Each value is frozen and made of what JSON knows, as those of spec.py, and `to_json` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modelpack.oci.filesystem import Entry
from modelpack.types import Code, Environment, ModelSpec, Scalar, to_json

Kind = Literal["added", "removed", "changed", "renamed", "reordered", "up", "down"]
Impact = Literal["none", "compatible", "breaking"]
Verdict = Literal["same", "changed", "compatible", "breaking", "unknown"]

SCHEMA = 1
SECTIONS = ("signature", "predictions", "model", "versions", "image")
"""In the order in which they are shown: what callers notice comes first."""


@dataclass(frozen=True)
class Change:
    """One thing that differs. `what`: of which sort it is ("input", "class", "distribution", ...).
    `old`, `new`: in words; None where there is nothing. `values`: all that was added or removed,
    where that is a list. `impact`: on those who ask the service. `note`: why, or how much.
    """

    kind: Kind
    what: str
    name: str = ""
    old: str | None = None
    new: str | None = None
    impact: Impact = "none"
    note: str = ""
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True)
class Section:
    """`verdict`: "compatible" and "breaking" say what it is for callers, "unknown" that nothing
    could be compared. `summary`: one line. `unknown`: what could not be compared, and why.
    """

    verdict: Verdict
    summary: str
    changes: tuple[Change, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layers:
    """How many layers are in both, only in NEW, only in OLD. `pull_bytes`: of those only in NEW;
    None: not known. `compressed`: as a registry keeps them.
    """

    same: int
    added: int
    removed: int
    pull_bytes: int | None = None
    compressed: bool = False


@dataclass(frozen=True)
class Files:
    """How many files of `/` differ. `metadata`: by mode, owner or target of a link alone;
    `times`: by time alone.
    """

    added: int
    removed: int
    changed: int
    metadata: int
    times: int


@dataclass(frozen=True)
class ImageSection(Section):
    """`layers`, `files`: None where not both sides are images, or none could be read."""

    layers: Layers | None = None
    files: Files | None = None


@dataclass(frozen=True)
class RowDifference:
    """A row of which the answers differ. `number` counts from 0. `apart`: as for `--tolerance`;
    None where it is no matter of size. `old_error`, `new_error`: what was said against the row.
    """

    number: int
    row: tuple[Scalar, ...]
    old: Any = None
    new: Any = None
    old_probabilities: Any = None
    new_probabilities: Any = None
    apart: float | None = None
    old_error: str | None = None
    new_error: str | None = None


@dataclass(frozen=True)
class PredictionSection(Section):
    """`rows`: that were asked; `compared`: those that both answered; `differing`: those of which
    the predictions differ. `refused_now`: that OLD answers and NEW refuses; `answered_now`: the
    other way round. `absolute`, `relative`: the largest difference of two numbers, relative to the
    larger of both and 1; `probability`: of two probabilities of the same class. None: there were
    none to compare.
    """

    rows: int = 0
    made_up: bool = False
    tolerance: float = 0.0
    compared: int = 0
    differing: int = 0
    refused_now: int = 0
    answered_now: int = 0
    absolute: float | None = None
    relative: float | None = None
    probability: float | None = None
    differences: tuple[RowDifference, ...] = ()


@dataclass(frozen=True)
class Named:
    """What was compared. `kind`: "image", "bundle", "archive", "layout", "registry", "model file".
    `sha256`: of the model's files.
    """

    name: str
    kind: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """All that differs between two models as they are served."""

    old: Named
    new: Named
    signature: Section
    predictions: PredictionSection
    model: Section
    versions: Section
    image: ImageSection

    @property
    def sections(self) -> Iterator[tuple[str, Section]]:
        return ((name, getattr(self, name)) for name in SECTIONS)

    @property
    def differing(self) -> tuple[str, ...]:
        """The sections in which something differs."""
        return tuple(n for n, found in self.sections if found.verdict not in {"same", "unknown"})

    @property
    def breaking(self) -> tuple[str, ...]:
        """The sections with what breaks callers."""
        return tuple(n for n, found in self.sections if found.verdict == "breaking")

    def to_json(self) -> dict[str, Any]:
        """The document of `modelpack diff --json`."""
        told = {"differing": list(self.differing), "breaking": list(self.breaking)}
        return {"schema": SCHEMA, **told, **to_json(self)}


def verdict(changes: tuple[Change, ...], unknown: tuple[str, ...] = ()) -> Verdict:
    """The worst of what the changes are for callers."""
    impacts = {change.impact for change in changes}
    if impacts:
        return (
            "breaking"
            if "breaking" in impacts
            else "compatible"
            if "compatible" in impacts
            else "changed"
        )
    return "unknown" if unknown else "same"


def counted(number: int, noun: str, plural: str = "") -> str:
    """As "1 row", or "2 rows"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def without(old: object, new: object) -> str:
    """The sides that lack what is asked for: "OLD", "NEW", "OLD and NEW" or ""."""
    return " and ".join(name for name, part in (("OLD", old), ("NEW", new)) if part is None)


def key(value: Scalar) -> tuple[str, Scalar]:
    """1, 1.0 and True are three values."""
    return type(value).__name__, value


def only(these: Iterable[Scalar], those: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """Those of the first that the second has not, in their order."""
    known = set(map(key, those))
    return tuple(value for value in these if key(value) not in known)


def added(
    what: str, name: str, values: tuple[Scalar, ...], impact: Impact, note: str = ""
) -> Change:
    return Change("added", what, name, None, _text(values), impact, note, values)


def removed(
    what: str, name: str, values: tuple[Scalar, ...], impact: Impact, note: str = ""
) -> Change:
    return Change("removed", what, name, _text(values), None, impact, note, values)


def reordered(what: str, old: Sequence[Scalar], new: Sequence[Scalar], note: str) -> Change:
    return Change("reordered", what, "", _text(old), _text(new), "breaking", note, tuple(new))


def _text(values: Iterable[Scalar]) -> str:
    return ", ".join(map(str, values))


@dataclass(frozen=True)
class Base:
    """What an image is built on. Empty where nothing tells."""

    reference: str = ""
    digest: str = ""


@dataclass(frozen=True)
class LayerSummary:
    """A layer. `size`: in bytes, as it is kept or without compression; None: not known."""

    diff_id: str
    created_by: str = ""
    size: int | None = None


@dataclass(frozen=True)
class ImageSummary:
    """An image. `config`: its OCI configuration. `files`: those of `/`, by their paths; None where
    they were not read, `unread` says why. `compressed`: what the sizes of the layers are.
    """

    config: Mapping[str, Any]
    layers: tuple[LayerSummary, ...]
    files: Mapping[str, Entry] | None = None
    unread: str = ""
    compressed: bool = False


@dataclass(frozen=True)
class Side:
    """`environment`: None of a model file, which has none yet. `image`: None of what is none."""

    name: str
    kind: str
    model: ModelSpec
    environment: Environment | None = None
    base: Base = Base()
    code: Code = field(default_factory=Code)
    image: ImageSummary | None = None
