"""Inputs and outputs as callers see them.

The impact of a change follows the rules of serving/data: a row by name needs all required names
and no others, a row as a list all values in order. An integer is a number, and an input of unknown
type takes any value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.types import Field, Scalar, Signature

from . import report
from .report import Change, Impact, Section, counted, verdict


def compare_signatures(old: Signature, new: Signature) -> Section:
    changes = (*compare_inputs(old, new), *compare_outputs(old, new))
    unknown = tuple(_unknown(old, new))
    return Section(verdict(changes, unknown), _summary(new, changes), changes, unknown)


def _summary(new: Signature, changes: Sequence[Change]) -> str:
    impacts = [change.impact for change in changes]
    if "breaking" in impacts:
        count = impacts.count("breaking")
        return f"{counted(count, 'change')} {'breaks' if count == 1 else 'break'} callers"
    if "compatible" in impacts:
        return f"{counted(len(changes), 'change')}, compatible with callers"
    counts = [counted(len(new.inputs), "input"), counted(len(new.outputs), "output")]
    if new.classes:
        counts.append(counted(len(new.classes), "class", "classes"))
    return ", ".join(counts) + (", no change for callers" if changes else "")


def _unknown(old: Signature, new: Signature) -> Iterator[str]:
    for what, before, after in (
        ("inputs", old.inputs, new.inputs),
        ("classes", old.classes, new.classes),
    ):
        if bool(before) != bool(after):
            yield f"the {what} are known only for {'OLD' if before else 'NEW'}"


_ANY = "any"


def compare_inputs(old: Signature, new: Signature) -> Iterator[Change]:
    if not old.inputs or not new.inputs:
        return
    if old.named != new.named:
        yield _naming_change(old, new)
    if not (old.named and new.named):  # the names are x0, x1, ...: inputs are matched by position
        yield from _by_position(old.inputs, new.inputs)
        return
    yield from _by_name(old.inputs, new.inputs)


def _naming_change(old: Signature, new: Signature) -> Change:
    was, now = (", ".join(field.name for field in side.inputs) for side in (old, new))
    if old.named:
        return Change("renamed", "inputs", "", was, now, "breaking", "rows by name are refused")
    return Change("renamed", "inputs", "", was, now, "compatible", "rows may come by name now")


def _by_position(old: Sequence[Field], new: Sequence[Field]) -> Iterator[Change]:
    for before, after in zip(old, new, strict=False):
        yield from _field(before, after)
    yield from map(_removed, old[len(new) :])
    yield from map(_added, new[len(old) :])


def _by_name(old: Sequence[Field], new: Sequence[Field]) -> Iterator[Change]:
    renamed = _renamed(old, new)
    before = {field.name: field for field in old}
    after = {renamed.get(field.name, field.name): field for field in new}
    for now, was in renamed.items():
        yield Change("renamed", "input", was, was, now, "breaking", "rows by name are refused")
    for name, field in after.items():
        yield from _field(before[name], field) if name in before else [_added(field)]
    yield from (_removed(field) for name, field in before.items() if name not in after)
    kept = [name for name in before if name in after], [name for name in after if name in before]
    if kept[0] != kept[1]:
        yield report.reordered("input", *kept, "values of rows as lists go to other inputs")


def _renamed(old: Sequence[Field], new: Sequence[Field]) -> dict[str, str]:
    """Return new name -> old name of inputs with the same type and position, and unique names."""
    if len(old) != len(new):
        return {}
    before, after = ({field.name for field in side} for side in (old, new))
    return {
        now.name: was.name
        for was, now in zip(old, new, strict=True)
        if was.name not in after
        and now.name not in before
        and (was.type, was.shape) == (now.type, now.shape)
    }


def _added(field: Field) -> Change:
    if field.nullable:
        note = "may be missing from rows by name; rows as lists get longer"
        return Change("added", "input", field.name, None, _kind(field), "compatible", note)
    note = "rows without it are refused"
    return Change("added", "input", field.name, None, _kind(field), "breaking", note)


def _removed(field: Field) -> Change:
    note = "rows that have it are refused"
    return Change("removed", "input", field.name, _kind(field), None, "breaking", note)


def _kind(field: Field) -> str:
    """Return a type such as "number" or "number x 3 or missing"."""
    shape = "".join(f" x {size if size >= 0 else '?'}" for size in field.shape)
    return f"{field.type}{shape}{' or missing' if field.nullable else ''}"


def _field(old: Field, new: Field) -> Iterator[Change]:
    """Yield the changes of an input that both sides have."""
    if (old.type, old.shape) != (new.type, new.shape):
        has_all = new.type == _ANY or (old.type, new.type) == ("integer", "number")
        wider = old.shape == new.shape and has_all
        impact: Impact = "compatible" if wider else "breaking"
        note = "more values are valid" if wider else "some values are now refused"
        yield Change("changed", "type", old.name, type_of(old), type_of(new), impact, note)
    if old.nullable != new.nullable:
        yield _nullable(old, new)
    yield from _categories(old, new)
    bounds = [(field.minimum, field.maximum) for field in (old, new)]
    if bounds[0] != bounds[1]:
        yield Change("changed", "range", old.name, _range(old), _range(new), note="in training")


def type_of(field: Field) -> str:
    """Return a type such as "number" or "number x 3"."""
    return _kind(field).removesuffix(" or missing")


def _range(field: Field) -> str:
    if field.minimum is None or field.maximum is None:
        return "not known"
    return f"{field.minimum:.4g} to {field.maximum:.4g}"


def _nullable(old: Field, new: Field) -> Change:
    texts = "required", "may be missing"
    was, now = texts[old.nullable], texts[new.nullable]
    if new.nullable:
        return Change("changed", "missing values", old.name, was, now, "compatible")
    note = "rows without it are refused"
    return Change("changed", "missing values", old.name, was, now, "breaking", note)


def _categories(old: Field, new: Field) -> Iterator[Change]:
    was, now = old.categories, new.categories
    if was is None and now is not None:
        yield report.added("categories", old.name, now, "breaking", "other values are unknown")
    elif was is not None and now is None:
        yield report.removed("categories", old.name, was, "compatible", "any value is accepted")
    elif was is not None and now is not None:
        if gone := report.only(was, now):
            yield report.removed(
                "category", old.name, gone, "breaking", "the model no longer knows it"
            )
        if come := report.only(now, was):
            yield report.added("category", old.name, come, "compatible")


def compare_outputs(old: Signature, new: Signature) -> Iterator[Change]:
    if old.outputs and new.outputs:
        yield from _output_changes(old.outputs, new.outputs)
    if old.classes and new.classes:
        yield from _classes(old.classes, new.classes)
    if old.probabilities != new.probabilities:
        texts = "none", "one for each class"
        impact: Impact = "compatible" if new.probabilities else "breaking"
        was, now = texts[old.probabilities], texts[new.probabilities]
        yield Change("changed", "probabilities", "", was, now, impact)


def _output_changes(old: Sequence[Field], new: Sequence[Field]) -> Iterator[Change]:
    """Yield changes of outputs by position, as most models have one."""
    for was, now in zip(old, new, strict=False):
        if was.name != now.name:
            yield Change("renamed", "output", was.name, was.name, now.name, "breaking")
        if type_of(was) != type_of(now):
            yield Change("changed", "output", was.name, type_of(was), type_of(now), "breaking")
    for field in old[len(new) :]:
        yield Change("removed", "output", field.name, type_of(field), None, "breaking")
    for field in new[len(old) :]:
        yield Change("added", "output", field.name, None, type_of(field), "breaking")


def _classes(old: tuple[Scalar, ...], new: tuple[Scalar, ...]) -> Iterator[Change]:
    gone, come = report.only(old, new), report.only(new, old)
    if gone:
        yield report.removed("class", "", gone, "breaking", "it is no longer predicted")
    if come:
        yield report.added("class", "", come, "breaking", "callers may not know it")
    was, now = report.only(old, gone), report.only(new, come)
    if list(map(report.key, was)) != list(map(report.key, now)):
        yield report.reordered("class", was, now, "probabilities have another order")
