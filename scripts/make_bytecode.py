"""Regenerate modelpack/inspection/pickle/bytecode.json: the differences
between the byte code of Python versions, as the interpreters report them.

    python scripts/make_bytecode.py python3.7 python3.8 ...

Each reports its opcodes, the number of cache words after each of them, and the number of arguments
of its code objects.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "modelpack" / "inspection" / "pickle" / "bytecode.json"

QUERY = """
import json, opcode, sys
opcodes = {name: number for name, number in opcode.opmap.items() if number < 256}
caches = getattr(opcode, "_inline_cache_entries", {})
if isinstance(caches, list):
    caches = {opcode.opname[number]: count for number, count in enumerate(caches)}
print(json.dumps({
    "opcodes": sorted(opcodes.values()),
    "caches": {opcodes[name]: count for name, count in caches.items() if count and name in opcodes},
    "resume": opcodes.get("RESUME"),
    "arguments": 18 if hasattr(ASK, "co_exceptiontable") else 16 - (sys.version_info < (3, 8)),
}))
""".replace("ASK", "(lambda: 0).__code__")


def main(pythons: list[str]) -> None:
    version = 'import sys; print("%d.%d" % sys.version_info[:2])'
    rows = [
        f'"{_output(p, version)}": {json.dumps(json.loads(_output(p, QUERY)))}' for p in pythons
    ]
    TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def _output(python: str, code: str) -> str:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
