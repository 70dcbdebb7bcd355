"""The training frame: columns of every type that people have, drawn from a fixed seed."""

import decimal

import numpy as np
import pandas as pd

ROWS = 300
TEXTS = (
    "the parcel was late again",
    "great service, thank you",
    "charged twice for one order",
    "the lamp arrived broken",
    "fast delivery and friendly staff",
    "where is my refund?",
)


def frame(*names, rows=ROWS):
    """Return the columns of these names, in this order; all of them if no name is given."""
    draw = np.random.RandomState(7)
    age = draw.randint(18, 90, rows)
    fare = draw.gamma(2.0, 20.0, rows)
    income = draw.normal(40_000, 9_000, rows)
    sex = np.where(draw.rand(rows) < 0.5, "female", "male")
    port = draw.choice(["Cherbourg", "Queenstown", "Southampton"], rows)
    pclass = draw.choice([1, 2, 3], rows, p=[0.2, 0.3, 0.5])
    member = draw.rand(rows) < 0.4
    joined = pd.Timestamp("2021-01-01") + pd.to_timedelta(draw.randint(0, 1400, rows), unit="D")
    seen = joined + pd.to_timedelta(draw.randint(0, 86_400_000, rows), unit="ms")
    visits = draw.randint(0, 30, rows)
    missing = draw.rand(rows) < 0.15
    opted = draw.rand(rows) < 0.6
    columns = {
        "age": age,
        "fare": fare,
        "income": income,
        "income_missing": np.where(missing, np.nan, income),
        "sex": sex.astype(object),
        "port": port.astype(object),
        "port_none": np.where(missing, None, port.astype(object)),
        "port_nan": np.where(missing, np.nan, port.astype(object)),
        "pclass": pclass,
        "member": member,
        "city": pd.Categorical(port),
        "tier": pd.Categorical(pclass * 10, categories=[30, 10, 20]),
        "grade": pd.Categorical(
            np.where(age < 40, "low", "high"), categories=["low", "mid", "high"], ordered=True
        ),
        "vip": pd.Categorical(member),
        "city_missing": pd.Categorical(np.where(missing, None, port.astype(object))),
        "joined": joined,
        "seen": seen,
        "visits": pd.array(visits, dtype="Int64"),
        "visits_missing": pd.array([None if m else v for m, v in zip(missing, visits)], "Int64"),
        "opted": pd.array(opted, dtype="boolean"),
        "price": [decimal.Decimal(int(100 * f)) / 100 for f in fare],
        "comment": draw.choice(TEXTS, rows).astype(object),
        "fare32": fare.astype(np.float32),
        "income32": (income / 1000).astype(np.float32),
        "count8": draw.randint(0, 100, rows).astype(np.int8),
    }
    chosen = {name: columns[name] for name in names or columns}
    return pd.DataFrame(chosen)


def amounts():
    """Return a number for each row, to be predicted by regressors."""
    data = frame("age", "fare", "pclass", "member", "port", "income")
    noise = np.random.RandomState(11).normal(0, 1, len(data))
    port = data["port"].map({"Cherbourg": 5.0, "Queenstown": -8.0, "Southampton": 1.0})
    amount = data["fare"] / data["pclass"] + data["member"] * 9.0 + data["income"] / 5000
    return pd.Series(amount + port.astype(float) + data["age"] / 10 + noise, name="amount")


def labels():
    """Return "no" or "yes" for each row."""
    amount = amounts()
    return pd.Series(np.where(amount > amount.median(), "yes", "no").astype(object), name="bought")


def codes():
    """Return 0, 1 or 2 for each row."""
    return pd.Series(pd.qcut(amounts(), 3, labels=False).astype(int), name="segment")
