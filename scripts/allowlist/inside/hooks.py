"""Runs in the environment of a release: the Python code that unpickling runs.

    python hooks.py KEYS.json HOOKS.json

KEYS.json lists the "module:name" of all that unpickling makes or calls; HOOKS.json gets
"module:Class.method" or "module:function" -> its source. What is compiled has none and is left out.
"""

import importlib
import inspect
import json
import sys
from pathlib import Path

# Hook -> the roles in which it runs.
HOOKS = {
    "__new__": ("new", "call"),
    "__init__": ("call",),
    "__setstate__": ("new", "call"),
    "__getattr__": ("new", "call"),
    "__getattribute__": ("new", "call"),
    "__setattr__": ("new", "call"),
    "__del__": ("new", "call"),
    "__setitem__": ("items",),
    "append": ("append",),
    "extend": ("append",),
}
KEYS = ("__hash__", "__eq__")  # run where it is the key of a dict, if it is hashed by Python's code


def called_hooks(value, roles):
    """ "module:qualname" -> function, of the code that making or calling `value` may run."""
    if not inspect.isclass(value):
        return {_name(value): value} if inspect.isfunction(value) else {}
    names = [hook for hook, runs in HOOKS.items() if set(runs) & set(roles)]
    names += KEYS if inspect.isfunction(value.__hash__) else ()
    found = {}
    for cls in value.__mro__[:-1]:
        for hook in names:
            function = inspect.unwrap(_plain(vars(cls).get(hook)))
            if inspect.isfunction(function):
                found[f"{cls.__module__}:{cls.__qualname__}.{hook}"] = function
    return found


def _plain(value):
    return getattr(value, "__func__", value)


def _name(function):
    return f"{function.__module__}:{function.__qualname__}"


def _source(function):
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # made by exec: collections.namedtuple, dataclasses
        return "no source: " + function.__code__.co_filename


def _reach(key):
    module, _, path = key.partition(":")
    value = importlib.import_module(module)
    for name in path.split("."):
        value = getattr(value, name)
    return value


def main():
    keys = json.loads(Path(sys.argv[1]).read_text())
    found = {}
    for key, roles in keys.items():
        try:
            value = _reach(key)
        except (ImportError, AttributeError):  # as Python 2 calls it
            continue
        found.update(called_hooks(value, roles))
    table = {name: _source(function) for name, function in found.items()}
    Path(sys.argv[2]).write_text(json.dumps(table, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
