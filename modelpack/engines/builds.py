"""How a build that failed is told, whatever built."""

from __future__ import annotations

from collections.abc import Sequence

from modelpack.engines import causes
from modelpack.errors import BuildFailedError

_SHOWN_LINES = 15


def failure(step: str, error: str, output: Sequence[str]) -> BuildFailedError:
    """`step`: the one that failed, as `error` says; "" where that is not known. `output`: what was
    said in it; the end of it is shown.
    """
    where = f" in the step {step}" if step else ""
    what = f": {error}." if error else "."
    last = "\n".join(output[-_SHOWN_LINES:])
    return BuildFailedError(
        f"The image could not be built: it failed{where}{what}\n{last}".rstrip(),
        hint=causes.hint("\n".join([*output, error])),
    )
