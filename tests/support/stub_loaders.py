"""CPython's unpicklers with a stub for each name that they look up.

Runs on Python 3.6 or later with the standard library only. `python stub_loaders.py FILE...` prints
the names that each loader resolved, as JSON. No name is imported, and only stubs are called.
"""

import io
import json
import pickle
import sys
from pathlib import Path


class StandIn:
    """Can be made, called, given a state and filled, as far as opcodes do so."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    def __setitem__(self, key, value):
        pass


def recording_loader(unpickler):
    class Recording(unpickler):
        def __init__(self, stream):
            super().__init__(stream)
            self.names = []

        def find_class(self, module, name):
            self.names.append(module + ":" + name)
            return StandIn

    return Recording


LOADERS = {"C": recording_loader(pickle.Unpickler), "Python": recording_loader(pickle._Unpickler)}


def resolve_names(loader, stream):
    """[the names in order, whether the loader came to the end, where it stopped]."""
    unpickler = loader(stream)
    try:
        unpickler.load()
    except Exception:  # a stub does not support all that its original does
        return [unpickler.names, False, stream.tell()]
    return [unpickler.names, True, stream.tell()]


def resolve_all(path):
    """Key -> what `resolved` gives, from memory and from the file."""
    found = {}
    data = Path(path).read_bytes()
    for key, loader in LOADERS.items():
        found[key + ", memory"] = resolve_names(loader, io.BytesIO(data))
        with Path(path).open("rb") as file:
            found[key + ", file"] = resolve_names(loader, file)
    return found


if __name__ == "__main__":
    paths = Path(sys.argv[1]).read_text().splitlines()
    print(json.dumps({path: resolve_all(path) for path in paths}))
