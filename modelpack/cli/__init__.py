"""The entry point, which turns errors and signals into messages and exit codes."""

from __future__ import annotations

import atexit
import gc
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from modelpack.cli.commands import main
from modelpack.errors import ModelpackError

INTERRUPTED = 130


def run() -> NoReturn:
    """Run a command. An error becomes one paragraph, a hint and an exit code."""
    # Imports create no garbage. Searching for it takes 40 ms meanwhile, and 50 ms at the end.
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        main.main(prog_name="modelpack", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        from modelpack.cli import output

        output.print_interrupted()
        sys.exit(INTERRUPTED)
    except ModelpackError as problem:
        _print_error(problem)
        sys.exit(problem.exit_code)
    except Exception as problem:
        if {"-v", "--verbose"} & set(sys.argv):
            traceback.print_exc()
        _print_error(_as_bug(problem))
        sys.exit(ModelpackError.exit_code)
    sys.exit(0)


def _interrupt(number: int, _: FrameType | None) -> None:
    """Unwind like Ctrl-C, so that everything open is closed."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def _print_error(problem: ModelpackError) -> None:
    from modelpack.cli import output

    output.print_error(problem)


def _as_bug(problem: Exception) -> ModelpackError:
    return ModelpackError(
        f"This is a bug in modelpack: {type(problem).__name__}: {problem}",
        hint="Run it again with --verbose and report the traceback.",
    )
