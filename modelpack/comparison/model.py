"""Estimators, libraries and versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import InvalidVersion, Version

from modelpack.types import Code, Estimator, ModelSpec

from .report import Change, Kind, Section, Side, counted, missing_sides, verdict


def compare_models(old: Side, new: Side) -> Section:
    changes = (
        *_facts(old.model, new.model),
        *_estimators(old.model, new.model),
        *_code(old.code, new.code),
    )
    return Section(verdict(changes), _model_summary(old.model, new.model, changes), changes)


def _model_summary(old: ModelSpec, new: ModelSpec, changes: tuple[Change, ...]) -> str:
    if not changes:
        return f"{_short(new.estimator)} with the same digest"
    differing = {change.what for change in changes}
    if "estimator" in differing:
        if old.estimator != new.estimator:
            return f"{_short(old.estimator)} became {_short(new.estimator)}"
        return f"{_short(new.estimator)} with different steps"
    if "code" in differing and "sha256" not in differing:
        return f"the same {_short(new.estimator)} with different user code"
    how = _compilation(old, new) or "with the same steps, saved again"
    return f"{_short(new.estimator)} {how}"


def _compilation(old: ModelSpec, new: ModelSpec) -> str:
    """Return how images of the same file differ if one of them contains it compiled."""
    before, after = (
        [file.sha256 for file in model.compiled_from or model.files] for model in (old, new)
    )
    if before != after or not (old.compiled_from or new.compiled_from):
        return ""
    if old.compiled_from and new.compiled_from:
        return "of the same file, compiled again"
    return f"of the same file, {'compiled' if new.compiled_from else 'not compiled'}"


def _short(estimator: str | None) -> str:
    return (estimator or "model").rpartition(".")[2]


def _facts(old: ModelSpec, new: ModelSpec) -> Iterator[Change]:
    before, after = _compared_values(old), _compared_values(new)
    for what in before:
        if before[what] != after[what]:
            yield Change("changed", what, "", before[what] or None, after[what] or None)


def _compared_values(model: ModelSpec) -> dict[str, str]:
    """Return the compared values as text. The path does not belong to the model."""
    library = " ".join(filter(None, (model.framework, model.framework_version)))
    return {
        "sha256": ", ".join(file.sha256 for file in (*model.files, *model.artifacts)),
        "size": ", ".join(f"{file.size:,} bytes" for file in model.files),
        "format": ", ".join(f"{file.format} ({file.container})" for file in model.files),
        "framework": library,
        "task": model.task,
        "method": model.method,
        "safety": model.safety.verdict,
        "n_jobs": "" if model.n_jobs is None else str(model.n_jobs),
        "functions": ", ".join(model.callables),
        "modules": ", ".join(model.local_modules),
    }


# --- estimators ----------------------------------------------------------------------------------


def _estimators(old: ModelSpec, new: ModelSpec) -> Iterator[Change]:
    before, after = (dict(_flat(_tree(model))) for model in (old, new))
    for path in before | after:
        was, now = before.get(path), after.get(path)
        name = path or "model"
        if was is None or now is None:
            kind = "added" if was is None else "removed"
            yield Change(kind, "estimator", name, was and was.type, now and now.type)  # type: ignore[arg-type]
        elif was.type != now.type:
            yield Change("changed", "estimator", name, was.type, now.type)
        elif was.columns != now.columns:
            yield Change(
                "changed", "columns", name, _columns_text(was.columns), _columns_text(now.columns)
            )
    yield from _order(before, after)


def _tree(model: ModelSpec) -> Estimator:
    return Estimator("", model.estimator or "", steps=model.steps)


def _flat(node: Estimator, path: str = "") -> Iterator[tuple[str, Estimator]]:
    """Yield path ("preprocessing/numbers") and estimator. Repeated names get a number."""
    yield path, node
    seen: dict[str, int] = {}
    for step in node.steps:
        seen[step.name] = count = seen.get(step.name, 0) + 1
        name = step.name if count == 1 else f"{step.name} {count}"
        yield from _flat(step, f"{path}/{name}".lstrip("/"))


def _order(before: Mapping[str, Estimator], after: Mapping[str, Estimator]) -> Iterator[Change]:
    was, now = [p for p in before if p in after], [p for p in after if p in before]
    if was != now:
        yield Change("reordered", "estimator", "", ", ".join(was), ", ".join(now))


def _columns_text(columns: Iterable[str | int] | None) -> str:
    return ", ".join(map(str, columns or ())) or "not known"


# --- the author's code ---------------------------------------------------------------------------


def _code(old: Code, new: Code) -> Iterator[Change]:
    before, after = ({file.path: file.sha256 for file in code.files} for code in (old, new))
    for path in sorted(before | after):
        was, now = before.get(path), after.get(path)
        if was != now:
            kind = "added" if was is None else "removed" if now is None else "changed"
            yield Change(kind, "code", path, was, now)  # type: ignore[arg-type]


STEPS = ("major", "minor", "patch")
_RECORDED = "{} {} no lock, so the versions are those recorded in the model files"


def compare_versions(old: Side, new: Side) -> Section:
    which = missing_sides(old.environment, new.environment)
    unknown = (_RECORDED.format(which, "have" if " " in which else "has"),) if which else ()
    before, after = _distributions(old, new)
    changes = (*_platform(old, new), *_each(before, after))
    if not changes and not unknown:
        changes = tuple(_lock(old, new))
    result = verdict(changes, () if before and after else unknown)
    return Section(result, _version_summary(changes, after), changes, unknown)


def _distributions(old: Side, new: Side) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the versions in both locks; if one side has none, those in both model files."""
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
    """Yield changes of the base image as far as both sides record it."""
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
    """Return the direction from one version to another, and the first part that differs.

    The part is "major", "minor", "patch", or "" for others (1.0rc1 to 1.0, 1.0 to 1.0.post1).
    """
    try:
        was, now = Version(old), Version(new)
    except InvalidVersion:  # a specifier recorded in a file
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
    """Yield a change of the files of the same versions. An image does not contain its lock."""
    locks = [side.environment.lock if side.environment else "" for side in (old, new)]
    if all(locks) and locks[0] != locks[1]:
        note = "the same versions from other files"
        yield Change("changed", "lock", "requirements.lock", note=note)


def _version_summary(changes: Sequence[Change], after: Mapping[str, str]) -> str:
    if not changes:
        count = counted(len(after), "distribution")
        return f"{count}, all the same" if after else "not compared"
    if len(changes) == 1 and changes[0].old and changes[0].new:
        change = changes[0]
        return f"{change.name or change.what} {_brief(change.old)} \u2192 {_brief(change.new)}"
    counts = Counter(c.kind for c in changes if c.what == "distribution")
    numbers = [f"{counts[kind]} {kind}{_majors(changes, kind)}" for kind in counts]
    other = [change.what for change in changes if change.what != "distribution"]
    return ", ".join([*other, *numbers])


def _brief(text: str | None) -> str:
    """Shorten a digest to its beginning."""
    return (text or "")[:19] if (text or "").startswith("sha256:") else text or ""


def _majors(changes: Sequence[Change], kind: Kind) -> str:
    """Return the number of major steps of a kind in brackets."""
    steps = Counter(c.note for c in changes if c.kind == kind and c.what == "distribution")
    return f" ({steps['major']} major)" if steps["major"] else ""
