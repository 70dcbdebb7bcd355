"""Looks up names, as unpickling does, and writes down those that are there.

    python names.py OUTPUT NAMES

NAMES is a JSON list of modules and "module:name"; OUTPUT becomes that of those found. They are from
modelpack's own table, never from a file of elsewhere.
"""

import importlib
import json
import sys
import warnings
from functools import reduce
from pathlib import Path


def is_there(key):
    module, _, name = key.partition(":")
    try:
        found = importlib.import_module(module)
        if name:
            reduce(getattr, name.split("."), found)
    except Exception:
        return False
    return True


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import sklearn.ensemble  # noqa: F401 - with it `_loss` is found, as in any process that predicts

    names = json.loads(Path(sys.argv[2]).read_text())
    Path(sys.argv[1]).write_text(json.dumps([name for name in names if is_there(name)]))
