"""ROOT BUNDLE: copies files of a bundle to ROOT/app, those in folders with their byte code.

What lies beside the folders is for whoever runs the image to mount something else in its place, and
byte code that is never checked would be read instead of that.
"""

from __future__ import annotations

import os
import shutil
import sys

from .files import tidy
from .python import compile_below

PLACE = "/app"


def make(root: str, bundle: str) -> None:
    """Raises:
    RuntimeError: see `compile_below`.
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
