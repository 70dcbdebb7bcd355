"""`python -m`: copies files of a bundle to ROOT/app, and compiles the modules in folders.

Modules outside of folders are not compiled, as users may mount other files in their place: Python
would run the byte code instead, which it does not check.
"""

from __future__ import annotations

import os
import shutil
import sys

from .files import tidy
from .python import compile_below

PLACE = "/app"


def make(root: str, bundle: str) -> None:
    """Copy all files of `bundle` into the folder /app of `root`.

    Raises:
        RuntimeError: See `compile_below`.
    """
    folder = root + PLACE
    shutil.copytree(bundle, folder, copy_function=shutil.copyfile)
    for name in sorted(os.listdir(folder)):
        inside = os.path.join(folder, name)
        if os.path.isdir(inside):
            compile_below(inside, f"{PLACE}/{name}")
    tidy(root, 0o444)


if __name__ == "__main__":
    make(*sys.argv[1:])
