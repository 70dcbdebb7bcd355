"""`python -m modelpack.serving`, what the image runs: `serve`, or `predict` without a service."""

from __future__ import annotations

import os
import sys
from typing import NoReturn, Sequence

USAGE = """\
usage: docker run [-p 8080:8080] IMAGE [serve]         answer over HTTP on port 8080 (PORT)
       docker run -i IMAGE predict < rows > answers    answer the rows of a file
       docker run IMAGE predict --help                 its formats and options
       docker run --entrypoint python IMAGE ...        anything else
"""
SERVE = ("-m", "gunicorn", "--config", "gunicorn.conf.py", "app:app")
UNUSABLE = 2


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the service, or answer rows and end.

    A word that is not known is refused and not run as a program: who mistypes `predict` wants to
    hear that, not "no such file".
    """
    if list(arguments) in ([], ["serve"]):
        serve()
    if arguments[0] == "predict":
        from .batch import command  # noqa: PLC0415 - brings numpy, which `serve` looks for itself

        sys.exit(command.run(arguments[1:]))
    if arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        sys.exit(0)
    sys.stderr.write(f"{USAGE}error: there is nothing called {' '.join(arguments)!a} here\n")
    sys.exit(UNUSABLE)


def serve() -> NoReturn:
    """In the place of this process, so that gunicorn is the one whom signals reach."""
    os.execv(sys.executable, [sys.executable, *SERVE])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
