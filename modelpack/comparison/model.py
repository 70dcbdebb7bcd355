"""Two models compared by what their files tell: the digest, the library, the estimators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from modelpack.types import Code, Estimator, ModelSpec

from .side import Side
from .values import Change, Section, verdict


def compare(old: Side, new: Side) -> Section:
    changes = (
        *_facts(old.model, new.model),
        *_estimators(old.model, new.model),
        *_code(old.code, new.code),
    )
    return Section(verdict(changes), _summary(old.model, new.model, changes), changes)


def _summary(old: ModelSpec, new: ModelSpec, changes: tuple[Change, ...]) -> str:
    if not changes:
        return f"the same {_short(new.estimator)}, by its digest"
    differing = {change.what for change in changes}
    if "estimator" in differing:
        if old.estimator != new.estimator:
            return f"{_short(old.estimator)} became {_short(new.estimator)}"
        return f"{_short(new.estimator)} of other steps"
    if "code" in differing and "sha256" not in differing:
        return f"the same {_short(new.estimator)}, with other code of its author"
    return f"{_short(new.estimator)} of the same steps, saved anew"


def _short(estimator: str | None) -> str:
    return (estimator or "model").rpartition(".")[2]


def _facts(old: ModelSpec, new: ModelSpec) -> Iterator[Change]:
    before, after = _told(old), _told(new)
    for what in before:
        if before[what] != after[what]:
            yield Change("changed", what, "", before[what] or None, after[what] or None)


def _told(model: ModelSpec) -> dict[str, str]:
    """What is compared, in words. Its path is where it lies, and no matter of the model's."""
    library = " ".join(filter(None, (model.framework, model.framework_version)))
    return {
        "sha256": ", ".join(file.sha256 for file in model.files),
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
            yield Change("changed", "columns", name, _listed(was.columns), _listed(now.columns))
    yield from _order(before, after)


def _tree(model: ModelSpec) -> Estimator:
    return Estimator("", model.estimator or "", steps=model.steps)


def _flat(node: Estimator, path: str = "") -> Iterator[tuple[str, Estimator]]:
    """Path of names ("preprocessing/numbers") -> estimator. Of names that come twice, the later
    ones get a number.
    """
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


def _listed(columns: Iterable[str | int] | None) -> str:
    return ", ".join(map(str, columns or ())) or "not known"


# --- the author's code ---------------------------------------------------------------------------


def _code(old: Code, new: Code) -> Iterator[Change]:
    before, after = ({file.path: file.sha256 for file in code.files} for code in (old, new))
    for path in sorted(before | after):
        was, now = before.get(path), after.get(path)
        if was != now:
            kind = "added" if was is None else "removed" if now is None else "changed"
            yield Change(kind, "code", path, was, now)  # type: ignore[arg-type]
