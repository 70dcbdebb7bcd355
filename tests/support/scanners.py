"""Verdicts of picklescan and fickling, which use lists of dangerous names."""

import contextlib
import io

from fickling.analysis import Severity, check_safety
from fickling.fickle import StackedPickle
from picklescan.scanner import SafetyLevel, scan_bytes

MALICIOUS = (Severity.OVERTLY_MALICIOUS, Severity.LIKELY_OVERTLY_MALICIOUS)


def picklescan(data):
    """Return the names that it lists as dangerous; None if it cannot read the file."""
    result = scan_bytes(io.BytesIO(data), "model.pkl", ".pkl")
    if result.scan_err:
        return None
    return {f"{g.module}:{g.name}" for g in result.globals if g.safety == SafetyLevel.Dangerous}


def picklescan_strict(data):
    """Return whether only names that it knows to be harmless occur."""
    result = scan_bytes(io.BytesIO(data), "model.pkl", ".pkl", strict=True)
    return not result.scan_err and not result.issues_count


def fickling(data):
    """Return its results for each pickle of the file; None if it cannot read one."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return [check_safety(pickled) for pickled in StackedPickle.load(io.BytesIO(data))]
    except Exception:  # it has no error of its own for what it cannot read
        return None


def fickling_imports(data):
    """Return the imports that it calls malicious, as "module:name"."""
    found = fickling(data)
    results = [result for each in found or () for result in each.results]
    words = [str(result.trigger).split() for result in results if result.severity in MALICIOUS]
    return {f"{w[1]}:{w[3]}" for w in words if len(w) == 4 and (w[0], w[2]) == ("from", "import")}


def is_clean(data):
    """Return scanner -> whether it reads the file and finds nothing."""
    found = fickling(data)
    return {
        "picklescan": picklescan(data) == set(),
        "picklescan --strict": picklescan_strict(data),
        "fickling": found is not None
        and all(each.severity == Severity.LIKELY_SAFE for each in found),
    }
