"""Random small changes of real files: of bytes, and of whole opcodes."""

import pickletools
import random

from opcodes import SYSTEM

INSERTED = [bytes([b]) for b in b"(0)]}NRbteus.al\x81\x85\x86\x87\x88\x90\x91\x93\x94"] + [
    b"h\0", b"h\1", b"q\0", b"r\0\1\0\0", b"j\0\0\0\0", b"K\0", b"\x8c\1a", b"U\1a", b"X\0\0\0\0",
    b"cbuiltins\nlist\n", b"\x8c\x08builtins\x8c\x04list\x93", b"ca\nb\n", b"\x80\4",
    b"\x95" + bytes(8), b"I01\n", b"Va\n", b"S'a'\n", b"p0\n", b"g0\n", b"C\0", b"\x8a\1\1", SYSTEM,
]  # fmt: skip


def opcode_positions(data):
    """Return the positions of the opcodes of an uncompressed pickle."""
    return [position for _, _, position in pickletools.genops(data)]


def mutants(data, chance, positions=None):
    """Yield changed copies without end. `positions` are the positions of opcodes."""
    while True:
        mutant = data
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            change = _change_opcodes if positions and chance.random() < 0.6 else _change_bytes
            mutant = change(mutant, chance, data, positions)
        if mutant and mutant != data:
            yield mutant


def _change_bytes(mutant, chance, data, _positions):
    position = chance.randrange(len(mutant) or 1)
    kind = chance.randrange(4)
    if kind == 0:
        return mutant[:position] + bytes([chance.randrange(256)]) + mutant[position + 1 :]
    if kind == 1:
        return mutant[:position] + mutant[position + chance.randrange(1, 20) :]
    if kind == 2:
        start = chance.randrange(len(data))
        return mutant[:position] + data[start : start + chance.randrange(1, 20)] + mutant[position:]
    return mutant[:position] + chance.choice(INSERTED) + mutant[position:]


def _change_opcodes(mutant, chance, data, positions):
    # The places are those of the original: after the first change they are near enough.
    at = chance.randrange(len(positions) - 1)
    start, end = positions[at], positions[at + 1]
    kind = chance.randrange(4)
    if kind == 0:
        return mutant[:start] + chance.choice(INSERTED) + mutant[start:]
    if kind == 1:
        return mutant[:start] + mutant[end:]
    if kind == 2:
        return mutant[:end] + data[start:end] + mutant[end:]
    other = chance.randrange(len(positions) - 1)
    return mutant[:start] + data[positions[other] : positions[other + 1]] + mutant[start:]


def seeded(seed):
    return random.Random(seed)
