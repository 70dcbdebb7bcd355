"""Expected answers: their sources, their comparison and what an image claims."""

from __future__ import annotations

from .common_rows import RowsUnavailable, shared_rows
from .reference import ReferenceSources, prepare, untyped_notices
from .sandbox_answers import Response, build_request, complete_reference, parse_response
from .sidecar import checked_texts, with_texts

__all__ = [
    "ReferenceSources",
    "Response",
    "RowsUnavailable",
    "build_request",
    "checked_texts",
    "complete_reference",
    "parse_response",
    "prepare",
    "shared_rows",
    "untyped_notices",
    "with_texts",
]
