"""Compiled models: a fitted model as numbers, without its library and without pickle.

1. `inspection.isolation.record` reads the classes and attributes of the estimators as data.
2. `compile.py` compiles the plan of these records, and writes what the plan read to one file.
3. `proof.py` compares the compiled model with the real one, which answers in a sandbox.

docs/compiled.md specifies the file.
"""
