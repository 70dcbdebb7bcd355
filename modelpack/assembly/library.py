"""ROOT BASE [LIBRARY]: the byte code of the standard library, where a base image has none.

The official images have none, and the file system of a service is read-only. BASE is the folder
where the files of the base image lie, "" where they are this machine's own. LIBRARY: where the base
image has its standard library, if that is not where this one runs.
"""

from __future__ import annotations

import os
import sys

from .bytecode import compile_below
from .files import tidy


def make(root: str, base: str, place: str) -> None:
    """ROOT is made in any case.

    Raises:
        RuntimeError: see `compile_below`.
    """
    os.makedirs(root)
    if not os.path.isdir(f"{base}{place}/__pycache__"):
        compile_below(base + place, place, root + place, ("site-packages", "dist-packages"))
    tidy(root)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2], (*sys.argv[3:], os.path.dirname(os.__file__))[0])
