"""What the provenance says is in the image is there, and nothing beside it.

Byte code is not told of: its compiler is the base's own.
"""

from __future__ import annotations

from modelpack.attest.made import DOCKERFILE, PROVENANCE
from modelpack.attest.provenance import dependencies
from modelpack.attest.subject import ANEW, APP, Subject, Verdict, is_byte_code, listed
from modelpack.errors import NotVouchedError

BUILT_WITH = {"base", ".dockerignore", DOCKERFILE, "build-requirements.lock", "modelpack/assembly/"}
"""What an image is made with, and does not hold."""


def check(subject: Subject) -> Verdict:
    """What the provenance says is in the image is there, and nothing beside it.

    Byte code is not told of: its compiler is the base's own.
    """
    try:
        told = dependencies(subject.provenance["predicate"])
    except (LookupError, TypeError, AttributeError) as error:
        raise NotVouchedError("The provenance tells of no content.", hint=ANEW) from error
    kept = {name: digest for name, digest in told.items() if name not in BUILT_WITH}
    other = sorted(name for name, digest in kept.items() if subject.digest(name) != digest)
    if other:
        raise NotVouchedError(
            f"Not what the provenance tells, or missing in the image: {listed(other)}.", hint=ANEW
        )
    more = sorted(path for path in _own(subject) if not _is_told(path, kept))
    if more:
        raise NotVouchedError(
            f"In the image, and the provenance does not tell of it: {listed(more)}.",
            hint="Look into it, or package the model anew.",
        )
    return Verdict("content", "holds", f"the model, its lock and its service: {len(kept)} digests")


def _own(subject: Subject) -> list[str]:
    """All that is in the folder of the service but folders and byte code."""
    return [
        path.removeprefix(APP)
        for path, entry in subject.files.items()
        if path.startswith(APP) and entry.kind != "directory" and not is_byte_code(path)
    ]


def _is_told(path: str, told: dict[str, dict[str, str]]) -> bool:
    trees = (name for name in told if name.endswith("/"))
    return path in {*told, PROVENANCE} or any(path.startswith(tree) for tree in trees)
