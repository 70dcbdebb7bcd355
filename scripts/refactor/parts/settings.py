"""What a recording is restricted to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samples import Sample


@dataclass(frozen=True)
class Settings:
    """`engines` and `cold` are for image ids, `corpus` is a folder of further model files."""

    samples: list[Sample]
    engines: tuple[str, ...]
    cold: bool
    corpus: Path | None
