"""Package the file of a release, and compare the answers of its container with the saved ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import containers
from allowlist.environments import Release

from .saving import saved

KINDS = ("iris", "forest", "boosting", "mixed", "text", "dicts")
FILES = tuple(f"{kind}.{suffix}" for kind in KINDS for suffix in ("pkl", "joblib"))


@dataclass(frozen=True)
class Result:
    """`chosen`: Python and key versions of the image. `verdict`: "as at saving", or what is not."""

    release: str
    python: str
    file: str
    chosen: str
    verdict: str

    @property
    def is_same(self) -> bool:
        return self.verdict == "as at saving"


def package_and_query(release: Release, file: str) -> Result:
    """Leaves no image behind."""
    path = saved(release) / file
    tag = f"modelpack-ages/{release.name}:{file}"
    packaged = containers.package([path], "--tag", tag)
    if packaged.document is None:
        verdict = f"exit {packaged.code}: {packaged.stderr.splitlines()[-1:]}"
        return Result(release.name, release.python, file, "", verdict)
    try:
        with containers.container(tag) as url:
            verdict = _compared(url, json.loads(path.with_suffix(".json").read_text()))
    finally:
        containers.remove(tag)
    chosen = _chosen(packaged.document["environment"])
    return Result(release.name, release.python, file, chosen, verdict)


def _compared(url: str, expected: dict[str, Any]) -> str:
    also = expected["probabilities"] is not None
    status, answer = containers.predict(url, expected["instances"], probabilities=also)
    if status != 200:
        return f"status {status}: {answer.get('detail')}"
    saved_answer = {"predictions": expected["predictions"]}
    if also:
        saved_answer["probabilities"] = expected["probabilities"]
    return (
        "as at saving" if answer == saved_answer else f"differs: {answer} instead of {saved_answer}"
    )


def _chosen(environment: dict[str, Any]) -> str:
    pins = environment["requirements"]
    names = [name for name in ("scikit-learn", "numpy", "scipy", "pandas") if name in pins]
    versions = ", ".join(f"{name} {pins[name]}" for name in names)
    return f"Python {environment['python']}, {versions}"


def table(results: Iterable[Result]) -> str:
    """Return a line for each release: its Python, the serving versions, the equal files."""
    lines = [
        "| saved by | Python of training | served with | files with equal predictions |",
        "|---|---|---|---|",
    ]
    rows = list(results)
    for release in dict.fromkeys(result.release for result in rows):
        release_results = [result for result in rows if result.release == release]
        same = sum(result.is_same for result in release_results)
        chosen = max((result.chosen for result in release_results), key=len)
        lines.append(
            f"| scikit-learn {release} | {release_results[0].python} | {chosen} "
            f"| {same} of {len(release_results)} |"
        )
    return "\n".join(lines)
