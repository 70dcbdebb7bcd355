# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3", "pandas==2.3.3",
# ]
# ///
"""Numbers with gaps and categories, each prepared separately, predict cancelled contracts.

The customers are synthetic: those on monthly contracts with high charges leave more often.
"""

import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

directory = Path(__file__).parent
random = np.random.default_rng(7)
n_customers = 500

customers = pd.DataFrame(
    {
        "age": random.integers(18, 90, n_customers).astype(float),
        "tenure_months": random.integers(0, 73, n_customers),
        "monthly_charge": random.normal(65, 25, n_customers).clip(15).round(2),
        "contract": random.choice(["monthly", "one year", "two years"], n_customers),
        "payment": random.choice(["card", "direct debit", "invoice"], n_customers),
    }
)
customers.loc[random.random(n_customers) < 0.1, "age"] = np.nan
pull = (customers["contract"] == "monthly") * 2 + (customers["monthly_charge"] - 65) / 25
leaves = np.where(
    pull - customers["tenure_months"] / 36 + random.normal(0, 1, n_customers) > 0.5, "yes", "no"
)

numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
columns = ColumnTransformer(
    [
        ("numbers", numbers, ["age", "tenure_months", "monthly_charge"]),
        ("categories", OneHotEncoder(handle_unknown="ignore"), ["contract", "payment"]),
    ]
)
model = make_pipeline(columns, LogisticRegression(random_state=0))
model.fit(customers, leaves)
joblib.dump(model, directory / "model.joblib")

rows = pd.DataFrame(
    [
        [41.0, 3, 99.5, "monthly", "invoice"],
        [67.0, 60, 25.0, "two years", "direct debit"],
        [None, 12, 70.0, "monthly", "card"],
    ],
    columns=customers.columns,
)
request = {"instances": json.loads(rows.to_json(orient="records"))}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
