"""Queries of Prometheus.

None adds up shares, quantiles or predictions of several jobs, as their models differ.
"""

from __future__ import annotations

CHOSEN = 'job=~"$job"'
RATE = "$__rate_interval"
NO_PROBE = 'route!~"/(metrics|healthz|readyz|ping|health|v2/health/.+)"'
"""Prometheus and the platform send requests all the time. They hide those of clients."""

PREDICTION = 'route=~".*(predict|infer|invocations).*"'
CLASSES = "modelpack_predicted_class_total"
SLOW = {0.5: "median", 0.99: "99 %"}
SPREAD = {0.05: "5 %", 0.5: "median", 0.95: "95 %"}


def rate(metric: str, by: str, *more: str) -> str:
    """Return the rate of a counter per second, summed up over all but the labels `by`."""
    return f"sum by ({by}) (rate({metric}{{{', '.join((CHOSEN, *more))}}}[{RATE}]))"


def quantile(share: float, metric: str, by: str, *more: str) -> str:
    """Return a quantile of a histogram for each value of the labels `by` that has one."""
    buckets = rate(f"{metric}_bucket", f"{by}, le", *more)
    return f"histogram_quantile({share}, {buckets}) >= 0"


def quantiles(
    metric: str, by: str, legend: str, *more: str, shares: dict[float, str] = SLOW
) -> dict[str, str]:
    """Return the queries of several quantiles of a histogram."""
    names = {quantile(share, metric, by, *more): name for share, name in shares.items()}
    return {query: f"{legend} {name}" for query, name in names.items()}


def share_of_requests(status: str) -> str:
    """Return the share of the requests with a status, of the job where it is highest.

    A job without requests has no share.
    """
    matching = rate("modelpack_requests_total", "job", NO_PROBE, f'status=~"{status}"')
    total = rate("modelpack_requests_total", "job", NO_PROBE)
    return f"max(({matching} or 0 * {total}) / ({total} > 0))"


def share(metric: str, label: str, total: str) -> str:
    """Return the share of each label in the total of its job."""
    return f"{rate(metric, f'job, {label}')} / on (job) group_left () ({rate(total, 'job')} > 0)"


def share_of_rows(metric: str) -> str:
    """Return the share of the rows in which the values of each input were counted."""
    return share(metric, "input", "modelpack_rows_total")


def not_ready() -> str:
    """Return the number of instances that are down, or whose model is not ready.

    Without any instance of the last day there is no number.
    """
    down = f"up{{{CHOSEN}}} == 0 or modelpack_ready{{{CHOSEN}}} == 0"
    known = f"max_over_time(modelpack_ready{{{CHOSEN}}}[1d])"
    return f"count(({down}) and on (job, instance) {known}) or 0 * count({known})"


def models() -> str:
    """Return the number of instances of each model, with the beginning of its digest."""
    info = f"modelpack_model_info{{{CHOSEN}}}"
    digest = f'label_replace({info}, "digest", "$1", "sha256", "(.{{8}}).*")'
    return f"count by (job, name, version, digest) ({digest})"
