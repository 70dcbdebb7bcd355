"""The models: kind -> a function that gives a fitted one with five rows, or None where the release
has no such estimator. The first six are those of sample_models, as far as every release can train
them; the others hold what releases store in different ways.
"""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

TEXTS = {
    "delivery": [
        "Where is my parcel? It was sent a week ago.",
        "The parcel was left at the wrong address.",
        "The courier rang and left before I reached the door.",
    ],
    "payment": [
        "I was charged twice for one order.",
        "Please send an invoice with the tax on it.",
        "When will the money be back in my account?",
    ],
    "return": [
        "The shoes are too small, how do I send them back?",
        "I want to return a lamp that arrived broken.",
        "How long may I keep it before I return it?",
    ],
}
RIDES = [
    ({"zone": "centre", "hour": "morning", "distance": 2.0}, 14.0),
    ({"zone": "centre", "hour": "evening", "distance": 3.5}, 25.0),
    ({"zone": "harbour", "hour": "morning", "distance": 5.0}, 21.0),
    ({"zone": "harbour", "hour": "night", "distance": 6.0}, 16.0),
    ({"zone": "hills", "hour": "evening", "distance": 8.0}, 34.0),
    ({"zone": "hills", "hour": "night", "distance": 9.5}, 26.0),
]


def iris():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0))
    return model.fit(X, names[y]), X[[0, 50, 77, 100, 149]].tolist()


def forest():
    X, y = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(n_estimators=10, max_depth=4, random_state=0)
    return model.fit(X, y), X[[0, 19, 100, 200, 300]].tolist()


def boosting():
    X, y = load_diabetes(return_X_y=True)
    model = GradientBoostingRegressor(n_estimators=20, max_depth=2, random_state=0)
    return model.fit(X, y), X[:5].tolist()


def mixed():
    import pandas as pd

    random, n = np.random.RandomState(7), 200
    customers = pd.DataFrame(
        {
            "age": random.randint(18, 90, n).astype(float),
            "tenure_months": random.randint(0, 73, n),
            "monthly_charge": random.normal(65, 25, n).clip(15).round(2),
            "contract": random.choice(["monthly", "one year", "two years"], n),
            "payment": random.choice(["card", "direct debit", "invoice"], n),
        }
    )
    customers.loc[random.rand(n) < 0.1, "age"] = np.nan
    pull = (customers["contract"] == "monthly") * 2 + (customers["monthly_charge"] - 65) / 25
    leaves = np.where(pull - customers["tenure_months"] / 36 > 0.5, "yes", "no")
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "tenure_months", "monthly_charge"]),
            ("categories", OneHotEncoder(handle_unknown="ignore"), ["contract", "payment"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression(random_state=0))
    rows = [
        [41.0, 3, 99.5, "monthly", "invoice"],
        [67.0, 60, 25.0, "two years", "direct debit"],
        [35.0, 12, 70.0, "monthly", "card"],
        [23.0, 1, 15.0, "one year", "card"],
        [88.0, 36, 120.25, "monthly", "direct debit"],
    ]
    return model.fit(customers, leaves), [dict(zip(customers.columns, row)) for row in rows]


def text():
    texts = [text for group in TEXTS.values() for text in group]
    topics = [topic for topic, group in TEXTS.items() for _ in group]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(random_state=0))
    rows = [
        "The parcel has not arrived.",
        "Why was my card charged again?",
        "I want to send it back.",
        "No invoice, and no money.",
        "The lamp is broken.",
    ]
    return model.fit(texts, topics), rows


def dicts():
    vectorizer = DictVectorizer().fit([ride for ride, _ in RIDES])
    seen = vectorizer.transform([ride for ride, _ in RIDES])
    model = LinearRegression().fit(seen, [minutes for _, minutes in RIDES])
    return (vectorizer, model), [dict(ride, distance=7.3) for ride, _ in RIDES[:5]]


def svc():
    X, y = load_iris(return_X_y=True)
    return SVC(gamma="scale").fit(X, y), X[[0, 50, 77, 100, 149]].tolist()


def neighbours():
    X, y = load_iris(return_X_y=True)
    return KNeighborsClassifier(algorithm="kd_tree").fit(X, y), X[[0, 50, 77, 100, 149]].tolist()


def descent():
    X, y = load_iris(return_X_y=True)
    model = SGDClassifier(random_state=0, max_iter=20, tol=None)
    return model.fit(X, y), X[[0, 50, 77, 100, 149]].tolist()


def network():
    """It keeps the state of its random generator."""
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier(hidden_layer_sizes=(4,), random_state=0, max_iter=30)
    return model.fit(X, y), X[[0, 50, 77, 100, 149]].tolist()


def classes():
    """Boosted trees for a classifier, whose loss is another one."""
    X, y = load_iris(return_X_y=True)
    model = GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0)
    return model.fit(X, y), X[[0, 50, 77, 100, 149]].tolist()


def histogram():
    try:
        from sklearn.experimental import enable_hist_gradient_boosting  # noqa: F401
    except ImportError:
        return None
    from sklearn.ensemble import HistGradientBoostingRegressor

    X, y = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(max_iter=5, max_leaf_nodes=8, random_state=0)
    return model.fit(X, y), X[:5].tolist()


SAMPLES = {
    "iris": iris,
    "forest": forest,
    "boosting": boosting,
    "mixed": mixed,
    "text": text,
    "dicts": dicts,
}
KINDS = dict(
    SAMPLES,
    svc=svc,
    neighbours=neighbours,
    descent=descent,
    network=network,
    classes=classes,
    histogram=histogram,
)
