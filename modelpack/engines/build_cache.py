"""Build caches outside the engine, for machines that keep nothing between builds.

The values of `--cache-from` and `--cache-to` are those of `docker buildx build`: a reference, or
pairs such as `type=registry,ref=REF,mode=max`. See https://docs.docker.com/build/cache/backends/
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelpack.errors import UsageError

FROM, TO = "--cache-from", "--cache-to"
_EXAMPLE = "type=registry,ref=registry.example/model:cache"


@dataclass(frozen=True)
class CacheLocation:
    """One value of an option. A reference alone has the type "registry"."""

    option: str
    value: str
    attributes: Mapping[str, str]

    @property
    def type(self) -> str:
        return self.attributes["type"]

    def __str__(self) -> str:
        return f"{self.option} {self.value}"


@dataclass(frozen=True)
class BuildCache:
    """The values of `--cache-from` and of `--cache-to`."""

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sources or self.targets)

    def locations(self) -> Iterator[CacheLocation]:
        """Parse all values.

        Raises:
            UsageError: A value is neither a reference nor a list of pairs with a type.
        """
        for option, values in ((FROM, self.sources), (TO, self.targets)):
            for value in values:
                yield CacheLocation(option, value, _attributes(option, value))


def _attributes(option: str, value: str) -> dict[str, str]:
    fields = next(csv.reader([value]), [])
    if len(fields) == 1 and fields[0] and "=" not in fields[0]:
        return {"type": "registry", "ref": fields[0]}
    split = (field.partition("=") for field in fields)
    pairs = {name.strip().lower(): text for name, sign, text in split if sign}
    if len(pairs) != len(fields) or not pairs.get("type"):
        raise UsageError(
            f"{option} {value!r} is neither a reference nor a list of pairs that contains a type.",
            hint=f"Write it as: {option} {_EXAMPLE}",
        )
    return pairs
