"""The files of an image as they lie below a folder, with links as the image would follow them."""

from __future__ import annotations

import os

from .files import walk

_LINKS = 40  # as many as Linux follows


class Tree:
    """Places are absolute, as in the image: "/usr/bin/env"."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def trail(self, place: str) -> list[str]:
        """The links that lead to `place`, and last what they lead to; none if that is not there."""
        passed: list[str] = []
        here, parts = "", place.split("/")
        while parts:
            part = parts.pop(0)
            next_ = os.path.normpath(f"{here}/{part}")
            path = self.folder + next_
            if os.path.islink(path) and len(passed) < _LINKS:
                passed.append(next_)
                target = os.readlink(path)
                here = "" if target.startswith("/") else here
                parts[:0] = target.split("/")
            elif os.path.islink(path) or not os.path.exists(path):
                return []
            else:
                here = next_.rstrip("/")
        return [*passed, here]

    def below(self, place: str) -> list[str]:
        """The trail of `place`, and of all that is below."""
        trail = self.trail(place)
        path = self.folder + trail[-1] if trail else ""
        if not os.path.isdir(path):
            return trail
        return trail + [inside[len(self.folder) :] for inside in walk(path)]

    def merged(self, place: str) -> str:
        """`place` where a link in the root folder takes it: "/lib/x" to "/usr/lib/x".

        Raises:
            ValueError: it leads outside.
        """
        parts = [part for part in place.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ValueError(f"a file is called {place!r}")
        first = os.path.join(self.folder, *parts[:1])
        if len(parts) > 1 and os.path.islink(first):
            parts[:1] = os.readlink(first).strip("/").split("/")
        return "/" + "/".join(parts)
