"""Saves objects in every way in which people save models."""

import pickle
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path

try:
    import joblib
except ImportError:  # before 0.21 scikit-learn contained a copy
    from sklearn.externals import joblib

SECONDS = 60


class TooSlow(BaseException):
    pass


@contextmanager
def limited(seconds=SECONDS):
    """Silence, and an end: the block is left with TooSlow after so many seconds."""

    def stop(*_):
        raise TooSlow(f"took more than {seconds} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)


def save_all(makers, folder):
    """Save what each of `makers` (name -> function) makes; return name -> why it was not saved."""
    failed = {}
    for name, make in sorted(makers.items()):
        try:
            with limited():
                objects = make()
        except (Exception, TooSlow) as error:
            failed[name] = _error_text(error)
        else:
            failed.update(_save(objects, folder / name, name))
    return failed


def _save(objects, stem, name):
    """Write STEM.p0, STEM.p1, ... by each protocol of pickle, and STEM.joblib, not compressed."""
    failed = {}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        values = []
        for number, value in enumerate(objects):
            why = _refusal(value, protocol)
            if why:
                failed[f"{name}[{number}] by protocol {protocol}"] = why
            else:
                values.append(value)
        Path(f"{stem}.p{protocol}").write_bytes(pickle.dumps(values, protocol))
    joblib.dump(values, f"{stem}.joblib")
    return failed


def _refusal(value, protocol):
    """Why pickle does not save a value, or None."""
    try:
        pickle.dumps(value, protocol)
    except Exception as error:
        return f"{type(value).__name__}: {_error_text(error)}"
    return None


def _error_text(error):
    return "{}: {}".format(type(error).__name__, str(error).split("\n")[0][:200])
