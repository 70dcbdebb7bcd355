"""Two environments compared: Python, the base image, and how far each distribution moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from packaging.version import InvalidVersion, Version

from .side import Side
from .values import Change, Kind, Section, counted, verdict, without

STEPS = ("major", "minor", "patch")
_RECORDED = "the versions are those that the files tell, as {} {} no lock"


def compare(old: Side, new: Side) -> Section:
    which = without(old.environment, new.environment)
    unknown = (_RECORDED.format(which, "have" if " " in which else "has"),) if which else ()
    before, after = _distributions(old, new)
    changes = (*_platform(old, new), *_each(before, after))
    if not changes and not unknown:
        changes = tuple(_lock(old, new))
    found = verdict(changes, () if before and after else unknown)
    return Section(found, _summary(changes, after), changes, unknown)


def _distributions(old: Side, new: Side) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Of both locks, or where one side has none, what both files record."""
    if old.environment and new.environment:
        return old.environment.requirements, new.environment.requirements
    return old.model.versions, new.model.versions


def _platform(old: Side, new: Side) -> Iterator[Change]:
    if old.environment and new.environment:
        yield from _version("Python", old.environment.python, new.environment.python)
        was, now = old.environment.platform, new.environment.platform
        if was != now:
            yield Change("changed", "platform", "", was, now)
        was, now = (", ".join(side.system_packages) for side in (old.environment, new.environment))
        if was != now:
            yield Change("changed", "system packages", "", was, now)
    yield from _base(old, new)


def _base(old: Side, new: Side) -> Iterator[Change]:
    """Not where one side does not tell."""
    if old.base.reference and new.base.reference and old.base.reference != new.base.reference:
        yield Change("changed", "base image", "", old.base.reference, new.base.reference)
    if old.base.digest and new.base.digest and old.base.digest != new.base.digest:
        yield Change("changed", "base digest", "", old.base.digest, new.base.digest)


def _each(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change("added", "distribution", name, None, after[name])
        elif name not in after:
            yield Change("removed", "distribution", name, before[name], None)
        else:
            yield from _version(name, before[name], after[name])


def _version(name: str, old: str, new: str) -> Iterator[Change]:
    if old == new:
        return
    kind, step = moved(old, new)
    yield Change(kind, "Python" if name == "Python" else "distribution", name, old, new, note=step)


def moved(old: str, new: str) -> tuple[Kind, str]:
    """The direction between two versions, and the first part of them that differs: "major",
    "minor", "patch", or "" where it is none of these (1.0rc1 to 1.0, 1.0 to 1.0.post1).
    """
    try:
        was, now = Version(old), Version(new)
    except InvalidVersion:  # a specifier of what a file tells
        return "changed", ""
    if was == now:
        return "changed", ""
    if was.epoch != now.epoch:
        return ("up" if was < now else "down"), "major"
    parts = ((part.major, part.minor, part.micro) for part in (was, now))
    differ = [a != b for a, b in zip(*parts, strict=True)]
    step = STEPS[differ.index(True)] if any(differ) else ""
    return ("up" if was < now else "down"), step


def _lock(old: Side, new: Side) -> Iterator[Change]:
    """The same versions by other files. An image does not tell its lock."""
    locks = [side.environment.lock if side.environment else "" for side in (old, new)]
    if all(locks) and locks[0] != locks[1]:
        note = "the same versions, of other files"
        yield Change("changed", "lock", "requirements.lock", note=note)


def _summary(changes: Sequence[Change], after: Mapping[str, str]) -> str:
    if not changes:
        held = counted(len(after), "distribution")
        return f"{held}, all the same" if after else "not compared"
    if len(changes) == 1 and changes[0].old and changes[0].new:
        only = changes[0]
        return f"{only.name or only.what} {_brief(only.old)} \u2192 {_brief(only.new)}"
    counts = Counter(c.kind for c in changes if c.what == "distribution")
    told = [f"{counts[kind]} {kind}{_majors(changes, kind)}" for kind in counts]
    other = [change.what for change in changes if change.what != "distribution"]
    return ", ".join([*other, *told])


def _brief(text: str | None) -> str:
    """A digest by its beginning."""
    return (text or "")[:19] if (text or "").startswith("sha256:") else text or ""


def _majors(changes: Sequence[Change], kind: Kind) -> str:
    """How many of a kind are a major step, in brackets."""
    steps = Counter(c.note for c in changes if c.kind == kind and c.what == "distribution")
    return f" ({steps['major']} major)" if steps["major"] else ""
