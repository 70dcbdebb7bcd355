"""What every engine is: the words of the conversation between the pipeline and an engine.

A new engine is one file with a class that has the members of `Engine`, and one line in the table
of `modelpack.engines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from modelpack import oci
from modelpack.types import BaseImage, Bundle, Image, IndexSettings, RunningService

StepState = Literal["started", "done", "cached", "failed"]


PLATFORM_HINT = (
    "Build it without running it, and test it on such a machine: modelpack package MODEL"
    " --platform {0} --no-smoke, then modelpack smoke IMAGE there"
)
"""What to do for a platform that the engine does not run."""


@dataclass(frozen=True)
class StepEvent:
    """A step of a build changed its state. `seconds`: how long it ran, 0.0 when just started."""

    name: str
    state: StepState
    seconds: float = 0.0


@dataclass(frozen=True)
class DebianPackages:
    """`stages`: stage of the Dockerfile -> names of what is installed there on `base`."""

    base: BaseImage
    platform: str
    stages: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class BatchStreams:
    """What rows are read from and answers are written to, files of the system; `on_line` gets each
    line of what is said beside.
    """

    rows: IO[bytes]
    answers: IO[bytes]
    on_line: Callable[[str], None]


OnStep = Callable[[StepEvent], None]
AnswerFuture = Callable[[], bytes]
OnProgress = Callable[[str, int, int], None]
"""Gets a layer's name, how many of its bytes have gone, and of how many. A layer that the registry
had already is told of once, with all of them; one that it had not, with none at first.
"""


class Engine(Protocol):
    """Makes images of bundles, and runs them. `platform` is the machine's own: "linux/amd64"."""

    name: str
    platform: str

    def find_base(
        self,
        versions: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        """The base for the first of `versions` ("3.11", preferred first) that can be had.

        `platform`: else the engine's own. For one that it does not run, the base need not be here.
        `pull`: whether what is not here may be fetched.

        Raises:
            UsageError: `reference` is none of `versions`, or no Python image.
            NoEngineError: no base can be had.
        """

    def require_runs(self, platform: str) -> None:
        """Raises:
        NoEngineError: the engine runs nothing of that platform.
        """

    def fetch_debian(
        self, packages: DebianPackages, folder: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        """Makes the folder, which takes the place of one that is there: STAGE/*.deb.

        Raises:
            BuildFailedError: they cannot be had.
            NoEngineError: the engine makes no images, or none of that platform.
        """

    def wants_wheels(self, bundle: Bundle) -> bool:
        """Whether `build` is to be given a folder that `environment.wheelhouse.gather` has filled,
        as it has no way to get wheels itself; with debian/ of `fetch_debian`, where the bundle
        takes that.

        Raises:
            BuildFailedError: it cannot build the bundle.
        """

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> Image | None:
        """Builds `bundle` into an image without a name; None if the engine makes no images.

        Raises:
            BuildFailedError: with the step that failed and the end of its output.
        """

    def require_joins(self) -> None:
        """Raises:
        NoEngineError: the engine keeps no image that is for several platforms.
        """

    def join(self, images: Sequence[Image]) -> Image:
        """Images that `build` made for several platforms as one, without a name.

        Raises:
            NoEngineError: as `require_joins`.
        """

    def ask(self, target: str, document: bytes) -> AbstractContextManager[AnswerFuture]:
        """Has `python -m modelpack.serving.reference` work on `document` in `target` while the
        block runs, in a sandbox: without network, and with nothing to write to. Gives what waits
        for its answer, which raises SmokeFailedError if there is none; the message tells why, as a
        part of a sentence.

        Raises:
            SmokeFailedError: it could not be started.
        """

    def predict(self, target: str, arguments: Sequence[str], files: BatchStreams) -> int:
        """Runs `predict` of an image, or of a bundle's folder, in the same sandbox, for as long as
        it takes. `arguments`: its options. Returns its exit code.

        Raises:
            UsageError: there is no such image, or the folder is no bundle.
        """

    def tag(self, image: Image, reference: str) -> Image:
        """Names the image, which may take the name from another one.

        Raises:
            UsageError: `reference` is not a valid name of a new image.
        """

    def push(self, reference: str, on_progress: OnProgress) -> str:
        """Pushes the image of that name to the registry that stands in it, as the user whom
        `docker login` has left there. Returns the digest of its manifest.

        Raises:
            UsageError: there is no such image, or the registry cannot be reached, or does not let
                this user do it.
            BuildFailedError: the registry fails, or does not take the image.
            NoEngineError: the engine makes no images.
        """

    def discard(self, image: Image) -> None:
        """Removes the image if it has no name."""

    def manifest(self, target: str) -> dict[str, Any]:
        """The modelpack.json of an image or of a bundle's folder, which is not run for that.

        Raises:
            UsageError: there is none, or modelpack did not make it.
        """

    def contents(self, target: str) -> AbstractContextManager[oci.Image]:
        """The image, whose layers can be opened while the block runs; nothing of it is run.

        Raises:
            UsageError: there is no such image, or the engine makes none.
        """

    def pulled(self, reference: str) -> AbstractContextManager[str]:
        """The image of a registry, under the name that is given, while the block runs: fetched,
        and removed again, where it was not here.

        Raises:
            UsageError: it cannot be had.
            NoEngineError: the engine runs no images.
        """

    def run(self, target: str) -> AbstractContextManager[RunningService]:
        """Starts `target`: an image reference or id; for an engine without images a bundle folder.

        Raises:
            UsageError: there is no such image, or the folder is no bundle.
            SmokeFailedError: it ended at once; the message has its last lines.
        """
