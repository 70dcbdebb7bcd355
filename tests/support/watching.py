"""A program that inspects files, and prints what else its interpreter does."""

# Run in a fresh interpreter: an audit hook (PEP 578) sees each action of the interpreter.
WATCH = """
import sys
from modelpack.inspection.inspector import inspect
inspect(sys.argv[1])  # reads the tables that inspecting itself needs
seen = []
sys.addaudithook(lambda event, args: seen.append((event, *args)))
modules = set(sys.modules)
for path in sys.argv[1:]:
    inspect(path)
seen = [s[:2] for s in seen if s[0] != "builtins.id"]
assert set(sys.modules) == modules and "numpy" not in modules and "skops" not in modules
assert len(seen) >= 2 * len(sys.argv[1:])  # the hook does see: path and descriptor
print([s for s in seen if s[0] != "open" or not (type(s[1]) is int or str(s[1]) in sys.argv)])
"""
