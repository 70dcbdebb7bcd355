"""Options of the pipeline, and the observer of its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelpack.engines import StepEvent
    from modelpack.types import Check, CheckStatus, Environment, ModelSpec, SmokeReport

FAIL_ON = ("any", "breaking", "predictions", "never")
"""The values of `diff --fail-on`."""


@dataclass(frozen=True)
class Options:
    """The options of all commands.

    Attributes:
        tag: Reference of the image (default: from the file name).
        output: Folder of the bundle. By default, the bundle of an image is deleted, and a bundle
            without an image is written to the current directory.
        force: Replace a bundle in `output` whose files were edited.
        compiled: Compile the model to numbers, so that the image needs neither its library nor
            pickle.
        slim_base: Copy only what serving needs from the base image.
        requirements: PEP 508 requirements that add to those of the model or override them.
        trust: Code outside the allowlist that may be loaded, as "module:name".
        sha256: Digests of the files at https:// addresses, in the order of these.
        select: Estimators to take from a file that contains several.
        code: Folders and files of the author's modules.
        code_trusted: Whether `trust` is unnecessary for what `code` defines.
        cache_from: Build caches to import, as of `docker buildx build`.
        cache_to: Where to export the build cache to.
        platform: One platform or several, separated by commas (default: that of the engine).
        offline: Wheelhouse to use instead of the network.
        example: Rows for the smoke test (csv, json, jsonl, npy, parquet).
        expected: Predictions of these rows.
        tolerance: Maximum relative difference of floats that are compared.
        allow_untested: Accept a service of which no prediction could be tested.
        title: What people call the model (default: the one in the record).
        description: What the model is for (default: the one in the record).
    """

    tag: str | None = None
    output: Path | None = None
    force: bool = False
    engine: str = "auto"
    base_image: str | None = None
    compiled: bool = False
    slim_base: bool = False
    python: str | None = None
    requirements: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    code: tuple[Path, ...] = ()
    code_trusted: bool = True
    ca_cert: Path | None = None
    index_url: str | None = None
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    platform: str | None = None
    offline: Path | None = None
    smoke: bool = True
    example: Path | None = None
    expected: Path | None = None
    tolerance: float = 0.0
    allow_untested: bool = False
    title: str | None = None
    description: str | None = None

    def accepts(self, report: SmokeReport) -> bool:
        """Return whether a service with this report may be tagged and used."""
        return report.passed or (self.allow_untested and report.status == "untested")


class Observer:
    """Receives the events of a pipeline. This one ignores them."""

    def stage_started(self, name: str) -> None: ...
    def stage_done(
        self, name: str, seconds: float, summary: str, status: CheckStatus = "passed"
    ) -> None: ...
    def stage_failed(self) -> None: ...
    def locked(self, environment: Environment, model: ModelSpec) -> None: ...
    def step(self, event: StepEvent) -> None: ...
    def transfer(self, layer: str, done: int, total: int) -> None: ...
    def check(self, check: Check) -> None: ...
    def notice(self, message: str) -> None: ...
