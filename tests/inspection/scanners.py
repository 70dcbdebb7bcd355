"""What picklescan and fickling say of a file: scanners by lists of what is dangerous."""

import io

from fickling.analysis import Severity, check_safety
from fickling.fickle import Pickled
from picklescan.scanner import SafetyLevel, scan_pickle_bytes


def picklescan(data):
    """The names that it lists as dangerous; None where it fails or finds nothing to read."""
    result = scan_pickle_bytes(io.BytesIO(data), "model.pkl")
    if result.scan_err:
        return None
    return {f"{g.module}:{g.name}" for g in result.globals if g.safety == SafetyLevel.Dangerous}


def fickling(data):
    """Its severity; None where it fails."""
    try:
        return check_safety(Pickled.load(data)).severity
    except Exception:  # it has no error of its own for what it cannot read
        return None


def catches(data):
    """Scanner -> whether a user of it would be warned: it flags the file, or fails to read it."""
    return {
        "picklescan": picklescan(data) != set(),
        "fickling": fickling(data) != Severity.LIKELY_SAFE,
    }
