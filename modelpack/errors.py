"""The exception hierarchy; one exit code per class.

ModelpackError                     1  a bug in modelpack, if not one of its subclasses
+- UsageError                     2  the request is wrong: a missing file, an invalid option
+- ModelRefusedError              3  the file is unsafe, malformed, or names untrusted code
+- VerificationError              3  a signature, provenance or SBOM is not valid
+- ModelNotSupportedError         4  the file is valid, but contains no supported model
+- EnvironmentNotResolvedError    5  no versions fit, or the index cannot be reached
+- BuildFailedError               6  the image could not be built
+- SmokeFailedError               7  a check of the running service failed
+- NoEngineError                  8  no container engine, or no base image for it
+- DifferentError                 9  `diff`, or `deploy` with two versions, found a difference
"""

from __future__ import annotations

from importlib import import_module


class ModelpackError(Exception):
    """The root of the hierarchy.

    Attributes:
        message: One paragraph on what happened and why.
        hint: What to type or change next.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def __notes__(self) -> list[str]:
        """What Python 3.11 and later print below a traceback."""
        return [f"hint: {self.hint}"] if self.hint else []

    def _render_traceback_(self) -> list[str]:
        """Return the lines that notebooks and IPython show in place of a traceback."""
        lines: list[str] = import_module("modelpack.api.notebook").error_lines(self)
        return lines


class UsageError(ModelpackError):
    exit_code = 2


class ModelRefusedError(ModelpackError):
    exit_code = 3


class VerificationError(ModelpackError):
    exit_code = 3


class ModelNotSupportedError(ModelpackError):
    exit_code = 4


class NoCompiledFormError(ModelNotSupportedError):
    """A part of a model that cannot be compiled, or one of its settings.

    Attributes:
        reason: The part and why, without the name of the file.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} cannot be compiled: {reason}.", hint="Package it without --compiled."
        )
        self.reason = reason


class EnvironmentNotResolvedError(ModelpackError):
    exit_code = 5


class BuildFailedError(ModelpackError):
    exit_code = 6


class SmokeFailedError(ModelpackError):
    exit_code = 7


class NoEngineError(ModelpackError):
    exit_code = 8


class DifferentError(ModelpackError):
    exit_code = 9
