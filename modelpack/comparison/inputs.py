"""The inputs of two models compared: what a row of the one is for the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.types import Field, Signature

from . import lists
from .values import Change, Impact

_ANY = "any"


def compare(old: Signature, new: Signature) -> Iterator[Change]:
    if not old.inputs or not new.inputs:
        return
    if old.named != new.named:
        yield _naming(old, new)
    if not (old.named and new.named):  # the names are x0, x1, ...: only positions tell anything
        yield from _by_position(old.inputs, new.inputs)
        return
    yield from _by_name(old.inputs, new.inputs)


def _naming(old: Signature, new: Signature) -> Change:
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
        yield lists.reordered("input", *kept, "rows as lists are taken for other inputs")


def _renamed(old: Sequence[Field], new: Sequence[Field]) -> dict[str, str]:
    """New name -> old name, of inputs of one type in one place, each of a name that only one side
    has.
    """
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
    """As "number", or "number x 3 or missing"."""
    shape = "".join(f" x {size if size >= 0 else '?'}" for size in field.shape)
    return f"{field.type}{shape}{' or missing' if field.nullable else ''}"


def _field(old: Field, new: Field) -> Iterator[Change]:
    """What differs in one input that both sides have."""
    if (old.type, old.shape) != (new.type, new.shape):
        wider = old.shape == new.shape and (new.type == _ANY or _is_wider(old, new))
        impact: Impact = "compatible" if wider else "breaking"
        note = "it takes more than before" if wider else "values that it took are refused"
        yield Change("changed", "type", old.name, type_of(old), type_of(new), impact, note)
    if old.nullable != new.nullable:
        yield _nullable(old, new)
    yield from _categories(old, new)
    bounds = [(field.minimum, field.maximum) for field in (old, new)]
    if bounds[0] != bounds[1]:
        yield Change("changed", "range", old.name, _range(old), _range(new), note="of training")


def _is_wider(old: Field, new: Field) -> bool:
    return (old.type, new.type) == ("integer", "number")


def type_of(field: Field) -> str:
    """As "number", or "number x 3"."""
    return _kind(field).removesuffix(" or missing")


def _range(field: Field) -> str:
    if field.minimum is None or field.maximum is None:
        return "not known"
    return f"{field.minimum:.4g} to {field.maximum:.4g}"


def _nullable(old: Field, new: Field) -> Change:
    words = "required", "may be missing"
    was, now = words[old.nullable], words[new.nullable]
    if new.nullable:
        return Change("changed", "missing values", old.name, was, now, "compatible")
    note = "rows without it are refused"
    return Change("changed", "missing values", old.name, was, now, "breaking", note)


def _categories(old: Field, new: Field) -> Iterator[Change]:
    was, now = old.categories, new.categories
    if was is None and now is not None:
        yield lists.come("categories", old.name, now, "breaking", "the model knows no others")
    elif was is not None and now is None:
        yield lists.gone("categories", old.name, was, "compatible", "any value is taken")
    elif was is not None and now is not None:
        if gone := lists.only(was, now):
            yield lists.gone("category", old.name, gone, "breaking", "the model knows it no more")
        if come := lists.only(now, was):
            yield lists.come("category", old.name, come, "compatible")
