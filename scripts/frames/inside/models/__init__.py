"""The models; importing this package registers them all."""

from . import artefacts, boosters, columns, libraries, numbers, own, types  # noqa: F401
