"""What can go wrong, one class a kind, each with the exit code of the command-line contract.

    ModelpackError                     1  a bug in modelpack, if nothing more exact is raised
     +- UsageError                     2  the request makes no sense: a missing file, a bad option
     +- ModelRefusedError              3  the file is unsafe, malformed, or names untrusted code
     +- VerificationError              3  a signature, provenance or bill of materials does not hold
     +- ModelNotSupportedError         4  the file is well formed, but no model that can be served
     +- EnvironmentNotResolvedError    5  no set of versions fits, or the index cannot be reached
     +- BuildFailedError               6  the image could not be built
     +- SmokeFailedError               7  the service was built and does not answer as it must
     +- NoEngineError                  8  no container engine, or no base image for it
     +- DifferentError                 9  `diff` found what it was told to fail on

Each error says what happened and why (`message`) and what to do next (`hint`).
"""

from __future__ import annotations


class ModelpackError(Exception):
    """The root of the tree. `message` is one paragraph; `hint` is what to type or change next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ModelpackError):
    exit_code = 2


class ModelRefusedError(ModelpackError):
    exit_code = 3


class VerificationError(ModelpackError):
    exit_code = 3


class ModelNotSupportedError(ModelpackError):
    exit_code = 4


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
