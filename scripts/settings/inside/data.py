"""Training data, and rows to compare predictions on: ordinary, at boundaries and extreme."""

import numpy as np
import pandas as pd

COUNT, WIDTH = 150, 5
CATEGORIES = 300
"""More than the values of one byte, for dtypes of codes."""

LIMITS = [
    0.0, -0.0, 5e-324, -2.2e-308, 1e-45, 1.0, 127.0, 128.0, 255.0, 256.0, 32768.0, 65536.0, 2.0**31,
    2.0**32, 2.0**53, 2.0**53 + 2, 2.0**63, 3.4028234663852886e38, 3.4028235677973366e38, -3.5e38,
    1e150, 1e155, -1e200, 1e306, 1.7976931348623157e308, np.nan, np.inf, -np.inf,
]  # fmt: skip


def numbers(kind, generator):
    """Return (COUNT, WIDTH) numbers of a kind, float64 unless its name contains another type."""
    rows = generator.normal(size=(COUNT, WIDTH)) * [1.0, 3.0, 0.5, 10.0, 1.0] + [0, 1, 0, -4, 2]
    if kind == "missing":
        rows[generator.random(rows.shape) < 0.15] = np.nan
    return {
        "tiny": lambda: rows * 1e-4,
        "counts": lambda: generator.integers(0, 6, rows.shape).astype(float),
        "positive": lambda: np.abs(rows) + 0.1,
        "steps": lambda: np.round(rows),
        "float32": lambda: rows.astype(np.float32),
        "int64": lambda: np.round(rows * 3).astype(np.int64),
    }.get(kind, lambda: rows)()


def questions(training, generator, extremes):
    """Return groups of float64 rows: like training and wide, at boundaries, and single extremes."""
    rows = np.array(training, np.float64)
    wide = generator.normal(size=(60, rows.shape[1])) * 10.0 ** generator.integers(-9, 9, (60, 1))
    wide[generator.random(wide.shape) < 0.1] = 0.0
    wide[generator.random(wide.shape) < 0.1] = -0.0
    ordinary = np.concatenate([rows[:80], wide])
    ordered = np.sort(rows, axis=0)
    middle = (ordered[1:] + ordered[:-1]) / 2
    narrow = middle.astype(np.float32).astype(np.float64)
    with np.errstate(all="ignore"):
        edges = [narrow, np.nextafter(narrow, np.inf), np.nextafter(narrow, -np.inf), middle]
        edges = np.concatenate([each[:30] for each in edges])
    for column in edges.T:
        generator.shuffle(column)
    groups = [ordinary, edges]
    for number in range(extremes):
        row = rows[number % len(rows)].copy()
        value = LIMITS[(number * 5 + extremes) % len(LIMITS)]
        if number % 3:
            row[number % len(row)] = value
        else:
            row[:] = value
        groups.append(row.reshape(1, -1))
    return groups


def targets(kind, generator, signal):
    """Return COUNT labels or numbers that follow `signal`."""
    noisy = np.nan_to_num(signal) + generator.normal(size=len(signal)) * 0.3
    ranks = np.argsort(np.argsort(noisy))
    if kind == "number":
        return noisy
    if kind == "positive":
        return np.abs(noisy) + 0.1
    if kind == "several":
        return np.stack([noisy, -2 * noisy + generator.normal(size=len(noisy))], axis=1)
    count = {"two": 2, "three": 3, "nine": 9, "flags": 2}[kind]
    classes = ranks * count // len(ranks)
    if kind == "three":
        return np.array(["lower", "middle", "upper"], object)[classes]
    return classes.astype(bool) if kind == "flags" else classes


def table(generator):
    """Return a frame with many and few categories, one of numbers, flags and missing values."""
    count = 2 * CATEGORIES
    many = [f"c{n % CATEGORIES:03}" for n in range(count)]
    few = generator.choice(["red", "green", "blue", ""], count).astype(object)
    rare = np.where(generator.random(count) < 0.03, "rare", few).astype(object)
    gaps = few.copy()
    gaps[generator.random(count) < 0.2] = np.nan
    return pd.DataFrame(
        {
            "many": np.array(many, object),
            "few": rare,
            "gaps": gaps,
            "code": generator.integers(-3, 9, count),
            "flag": generator.random(count) < 0.4,
            "size": generator.normal(size=count) * 3,
        }
    )


def unusual(frame):
    """Return rows of a frame with each value once, unknown and missing ones, limits of numbers."""
    built = []
    first = frame.iloc[0].to_dict()
    for name in frame:
        is_text = frame[name].dtype.kind not in "ifb"
        values = ["unheard of", np.nan, "C001"] if is_text else LIMITS
        if name == "flag":
            values = []
        if name == "code":
            values = [99, -4]
        built += [dict(first, **{name: value}) for value in values]
    return pd.DataFrame(built, columns=list(frame))


def texts(generator):
    words = [
        "red",
        "green",
        "blue",
        "Tea",
        "sea",
        "café",
        "the",
        "and",
        "x1",
        "snow",
        "雪",
        "naïve",
    ]
    built = [" ".join(generator.choice(words, generator.integers(1, 14))) for _ in range(80)]
    return [*built, "red " * 300 + "blue", "tea " * 140]


ODD_TEXTS = ["", " ", "unheard of", "RED red Red", "cafe\u0301 caf\u00e9", "a b c", "red\x00blue",
             "green, blue; tea!", "x1 x1 x1", "\u96ea", "the and", "na\u00efve " * 260]  # fmt: skip


def dicts(generator):
    built = []
    for _ in range(80):
        row = {"n": float(generator.normal()), "i": int(generator.integers(0, 5))}
        row["c"] = str(generator.choice(["x", "y", "z"]))
        if generator.random() < 0.3:
            row["b"] = bool(generator.random() < 0.5)
        built.append(row)
    return built


ODD_DICTS = [{}, {"n": 1e300}, {"c": "unheard of"}, {"n": -0.0, "i": 0}, {"b": True, "c": "x"},
             {"other": 3.0}, {"n": 2**53 + 1}, {"c=x": 1.0}, {"n": 5e-324}]  # fmt: skip
