"""The options of `predict` in an image."""

from __future__ import annotations

import argparse

from . import telling
from .files import FORMATS

MOST_ROWS, MOST_VALUES = 10_000, 1_000_000  # of a chunk


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="predict", description="Answer rows: of a file or standard input, to standard output."
    )
    formats = list(FORMATS)
    add = made.add_argument
    add("data", nargs="?", metavar="FILE", help="else, or where it is -, standard input")
    add("-o", "--output", metavar="FILE", help="written whole or not at all; else standard output")
    add("--input-format", choices=formats, help="else told by the name of FILE, or what it holds")
    add("--output-format", choices=formats, help="else told by the name of FILE, or as the input")
    add("--header", choices=["present", "absent"], help="of csv, where it cannot be seen")
    add("--probabilities", action="store_true", help="also the probability of each class")
    add("--keep", metavar="NAME", action="append", default=[], help="copy this column beside the"
        " answers; one that is no input is kept from the model; may be repeated")  # fmt: skip
    add("--keep-inputs", action="store_true", help="copy all columns")
    add("--on-error", choices=["fail", "null", "skip"], default="fail", help="of a row that has no"
        " answer: end there, leave its answer empty, or leave it out (default: fail)")  # fmt: skip
    add("--chunk-rows", type=_count, metavar="N", help="rows that are answered at a time"
        f" (default: {MOST_ROWS}, or what holds a million values)")  # fmt: skip
    add("--progress", choices=list(telling.TELLERS), default="auto", help="what is told on"
        " standard error: to people, to a program as JSON lines, or errors only")  # fmt: skip
    return made


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10**7):
        raise argparse.ArgumentTypeError("a number from 1 to 10000000 is wanted")
    return int(text)
