"""`python -m modelpack.serving`, the entry point of the image: `serve` or `predict`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn, Sequence

USAGE = """\
usage: docker run [-p 8080:8080] IMAGE [serve]           serve over HTTP on port 8080 (PORT)
       docker run -i IMAGE predict < rows > predictions  predict the rows of a file
       docker run IMAGE predict --help                   list formats and options
       docker run --entrypoint python IMAGE ...          run another program
"""
SERVE = ("-m", "gunicorn", "--config", "gunicorn.conf.py", "app:app")
UNUSABLE = 2


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the service, or predict rows and exit.

    An unknown word is an error and is not run as a program, so that a mistyped `predict` is
    reported as such.
    """
    if list(arguments) in ([], ["serve"]):
        serve()
    if arguments[0] == "predict":
        from .batch import command  # noqa: PLC0415 - imports numpy, which `serve` does not need

        sys.exit(command.run(arguments[1:]))
    if arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        sys.exit(0)
    sys.stderr.write(f"{USAGE}error: unknown command {' '.join(arguments)!a}\n")
    sys.exit(UNUSABLE)


def serve() -> NoReturn:
    """Replace this process by gunicorn, so that gunicorn receives the signals.

    On AWS Lambda, gunicorn is a child.

    Raises:
        StartupError: WEB_CONCURRENCY is not a positive integer.
    """
    _require_workers()
    if os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        from . import aws_lambda  # noqa: PLC0415 - for Lambda only

        if aws_lambda.is_used():
            aws_lambda.run([sys.executable, *SERVE])
    os.execv(sys.executable, [sys.executable, *SERVE])  # noqa: S606 - no shell is wanted


def _require_workers() -> None:
    """Check WEB_CONCURRENCY, which gunicorn reads when it is imported, and fails with a traceback.

    It is removed if it is empty, which means the default.
    """
    value = os.environ.get("WEB_CONCURRENCY")
    if value:
        from .settings import positive_integer  # noqa: PLC0415 - `predict` does without

        positive_integer("WEB_CONCURRENCY", value)
    elif value is not None:
        del os.environ["WEB_CONCURRENCY"]


if __name__ == "__main__":
    main(sys.argv[1:])
