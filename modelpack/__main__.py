"""`python -m modelpack` is the `modelpack` command."""

from modelpack.cli import run

run()
