"""Labels of metrics: few, whatever clients send."""

from __future__ import annotations

import re

NONE, OTHER = "none", "other"  # what matches no route, what is not known
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
KINDS = {
    400: "malformed",
    401: "token",
    404: "not_found",
    405: "method",
    406: "accept",
    408: "slow_client",
    413: "too_large",
    414: "too_large",
    415: "media_type",
    417: "expectation",
    422: "misfit",
    429: "overload",
    431: "too_large",
    500: "failure",
    503: "unavailable",
    504: "deadline",
}
MOST_REASONS = 50  # there are some twenty; more would be a mistake of ours
_reasons: set[str] = set()


def method(name: str) -> str:
    return name if name in METHODS else OTHER


def kind(status: int) -> str:
    """What is wrong with a request that is answered by such a status."""
    return KINDS.get(status, OTHER)


def reason(words: str) -> str:
    """The first sentence of a refusal without its numbers: `there_are_too_many_connections`."""
    label = "_".join(re.findall("[a-z]+", words.partition(".")[0].lower()))
    if label not in _reasons and len(_reasons) >= MOST_REASONS:
        return OTHER
    _reasons.add(label)
    return label
