"""Nothing is left of the build: no installer in the environment, no caches, no lists of packages,
no temporary files, no packages beside what was installed of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.utils import canonicalize_name

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

INSTALLERS = re.compile(
    r"opt/venv/.*site-packages/(?P<name>pip|setuptools|wheel|pkg_resources|_distutils_hack)/.*"
)
LEFTOVERS = {
    r"(.*/)?\.cache/.+": "is of a cache",
    r"root/.+": "is a file of root's own",
    r"(var/)?tmp/.+": "is temporary",
    r"var/lib/apt/lists/.+": "is a list of packages",
    r"var/cache/(apt|debconf|ldconfig)/.+": "is of a cache",
    r"var/log/.+": "is a log",
    r"wheelhouse(/.*)?": "is of the wheelhouse",
    r".*\.(whl|deb|rpm)": "is a package",
    r"(.*/)?(\.DS_Store|\.ipynb_checkpoints|\.pytest_cache|\.hg|\.svn)(/.*)?": "is of its author",
}
_LEFTOVERS = [(re.compile(pattern), what) for pattern, what in LEFTOVERS.items()]
_OF = {"pkg_resources": "setuptools", "_distutils_hack": "setuptools"}


def violations(image: Subject) -> Iterator[Violation]:
    """The build leaves no installers, caches, package lists, packages or temporary files."""
    locked = image.pins
    for path, entry in image.ours.items():
        if entry.kind == "directory" or path in image.base:
            continue
        installer = INSTALLERS.fullmatch(path)
        if installer and canonicalize_name(_of(installer["name"])) not in locked:
            yield Violation(path, "is of an installer that the lock does not name")
        yield from (
            Violation(path, what) for pattern, what in _LEFTOVERS if pattern.fullmatch(path)
        )


def _of(module: str) -> str:
    return _OF.get(module, module)
