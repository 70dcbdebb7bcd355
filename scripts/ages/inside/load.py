"""Load models that other releases saved, and report the outcome of each.

    python load.py OUTPUT FOLDER...

OUTPUT becomes a JSON document {"FOLDER/FILE": [outcome, detail]} with the outcomes
"same" (all answers equal to the last bit), "close" (numbers differ by less than 1e-9 of their
size), "differs", "predict" (an exception at prediction), "load" (an exception at loading), "crash".
"""

import json
import os
import sys
import warnings
from pathlib import Path

from train import answers, joblib


def outcome(path):
    try:
        model = joblib.load(str(path))
    except BaseException as error:
        return "load", error_text(error)
    document = json.loads(path.with_suffix(".json").read_text())
    try:
        found = answers(model, document["instances"])
    except BaseException as error:
        return "predict", error_text(error)
    expected = {key: document[key] for key in found}
    if found == expected:
        return "same", ""
    return ("close" if near(found, expected) else "differs"), ""


def error_text(error):
    return "{}: {}".format(type(error).__name__, " ".join(str(error).split())[:300])


def near(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(near(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(near, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-3)
    return a == b


def in_a_process(path):
    """A file of another age may end the interpreter, not only raise."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(writing, json.dumps(outcome(path)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answer.decode()) if answer else ["crash", f"status {status}"]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import sklearn.ensemble  # noqa: F401 - before the fork, once for all

    files = [path for folder in sys.argv[2:] for path in sorted(Path(folder).glob("*.[pj][ko]*"))]
    found = {
        "/".join(path.parts[-2:]): in_a_process(path) for path in files if path.suffix != ".json"
    }
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1))
