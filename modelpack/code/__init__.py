"""ModelSpec and folders -> Code: the author's own modules, of which no distribution knows.

    code = find(spec, Given(paths=(Path("src"),)))
    spec = needing(spec, code)

Files are parsed and copied, never executed.
"""

from __future__ import annotations

from .find import Given, find
from .telling import explained, notices, origin, require_found
from .together import needing

__all__ = ["Given", "explained", "find", "needing", "notices", "origin", "require_found"]
