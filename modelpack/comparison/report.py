"""`Difference`, its sections, and the two sides.

Values are frozen and contain only types of JSON, like those of types.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modelpack.oci.filesystem import Entry
from modelpack.types import Code, Environment, ModelSpec, Scalar, notebook_html, to_json

Kind = Literal["added", "removed", "changed", "renamed", "reordered", "up", "down"]
Impact = Literal["none", "compatible", "breaking"]
Verdict = Literal["same", "changed", "compatible", "breaking", "unknown"]

SCHEMA = 1
SECTIONS = ("signature", "predictions", "model", "versions", "image")
"""In the order of the report: changes for callers come first."""


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        what: "input", "class", "distribution" and so on.
        old, new: As text; None if the side has none.
        impact: On callers of the service.
        note: A reason or an amount.
        values: All added or removed values of a list.
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
    """The differences in one respect.

    Attributes:
        verdict: "compatible" or "breaking" for callers; "unknown" if nothing could be compared.
        unknown: What could not be compared, and why.
    """

    verdict: Verdict
    summary: str
    changes: tuple[Change, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layers:
    """Numbers of layers in both images, only in NEW, and only in OLD.

    Attributes:
        pull_bytes: Size of the layers only in NEW; None if not known.
        compressed: `pull_bytes` is the compressed size.
    """

    same: int
    added: int
    removed: int
    pull_bytes: int | None = None
    compressed: bool = False


@dataclass(frozen=True)
class Files:
    """Numbers of differing files. In `metadata` only mode or owner differ, in `times` the time."""

    added: int
    removed: int
    changed: int
    metadata: int
    times: int


@dataclass(frozen=True)
class ImageSection(Section):
    """The differences of two images; None if one side is not an image or cannot be read."""

    layers: Layers | None = None
    files: Files | None = None


@dataclass(frozen=True)
class RowDifference:
    """A row with different answers.

    Attributes:
        number: From 0.
        apart: The difference, as for `--tolerance`; None if the answers are not numbers.
        old_error, new_error: Why the row was refused.
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
    """The differences of predictions.

    Attributes:
        rows: Number of queried rows.
        made_up: Rows were generated from the signature of OLD, all but the first `recorded` ones.
        compared: Rows that both answered.
        differing: Rows with different predictions.
        refused_now: Rows that OLD answers and NEW refuses.
        answered_now: Rows that OLD refuses and NEW answers.
        absolute, relative: Largest difference of two numbers, absolute and relative to the larger
            of both and 1; None without numbers.
        probability: Largest difference of two probabilities of the same class; None without any.
    """

    rows: int = 0
    made_up: bool = False
    recorded: int = 0
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
    """A compared side.

    Attributes:
        kind: "image", "bundle", "archive", "layout", "registry" or "model file".
    """

    name: str
    kind: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """All differences between two served models."""

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
        """The names of sections with differences."""
        return tuple(n for n, part in self.sections if part.verdict not in {"same", "unknown"})

    @property
    def breaking(self) -> tuple[str, ...]:
        """The names of sections that break callers."""
        return tuple(n for n, part in self.sections if part.verdict == "breaking")

    def _repr_html_(self) -> str:
        return notebook_html(self)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack diff --json`."""
        names = {"differing": list(self.differing), "breaking": list(self.breaking)}
        return {"schema": SCHEMA, **names, **to_json(self)}


def verdict(changes: tuple[Change, ...], unknown: tuple[str, ...] = ()) -> Verdict:
    """Return the worst impact of the changes on callers."""
    impacts = {change.impact for change in changes}
    if "breaking" in impacts:
        return "breaking"
    if impacts:
        return "compatible" if "compatible" in impacts else "changed"
    return "unknown" if unknown else "same"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 row" or "2 rows"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def missing_sides(old: object, new: object) -> str:
    """Return the sides that are None: "OLD", "NEW", "OLD and NEW" or ""."""
    return " and ".join(name for name, part in (("OLD", old), ("NEW", new)) if part is None)


def key(value: Scalar) -> tuple[str, Scalar]:
    """Return a key by which 1, 1.0 and True differ."""
    return type(value).__name__, value


def only(these: Iterable[Scalar], those: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """Return the values of the first that the second lacks, in order."""
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
    """The base image of a side; empty if not known."""

    reference: str = ""
    digest: str = ""


@dataclass(frozen=True)
class LayerSummary:
    """A layer. `size` is in bytes, compressed by the registry or not; None if not known."""

    diff_id: str
    created_by: str = ""
    size: int | None = None


@dataclass(frozen=True)
class ImageSummary:
    """An image.

    Attributes:
        config: Its OCI configuration.
        files: Path -> entry of the file system; None if not read.
        unread: Why the files were not read.
        compressed: Sizes of layers are compressed.
    """

    config: Mapping[str, Any]
    layers: tuple[LayerSummary, ...]
    files: Mapping[str, Entry] | None = None
    unread: str = ""
    compressed: bool = False


@dataclass(frozen=True)
class Side:
    """One side of a comparison. A model file has no environment, and only an image has `image`."""

    name: str
    kind: str
    model: ModelSpec
    environment: Environment | None = None
    base: Base = Base()
    code: Code = field(default_factory=Code)
    image: ImageSummary | None = None
