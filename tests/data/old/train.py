"""Models of old releases, whose nodes have other fields than those of today.

uv venv -p 3.7 old && uv pip install -p old scikit-learn==0.20.4 numpy==1.21.6   # then 0.21.3
old/bin/python train.py
"""

import pickle
from pathlib import Path

import numpy as np
import sklearn
from scipy import sparse
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

HERE = Path(__file__).parent
X = np.random.RandomState(0).rand(60, 4)
Y = (X[:, 0] * 3).astype(int)

MODELS = {
    "tree": DecisionTreeClassifier(),
    "boosting": GradientBoostingClassifier(n_estimators=2, max_depth=2),
    "neighbours": KNeighborsClassifier(algorithm="kd_tree"),
    "svc": SVC(gamma="scale"),
}

if sklearn.__version__.startswith("0.21"):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.experimental import enable_hist_gradient_boosting  # noqa: F401

    MODELS = {"histogram": HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=5)}
else:
    data = pickle.dumps(DictVectorizer().fit([{"a": 1, "b": "c"}, {"b": "d"}]), 2)
    (HERE / "dicts-0.20.4.pkl").write_bytes(data)
    data = pickle.dumps(SVC(gamma="scale").fit(sparse.csr_matrix(X), Y), 2)
    (HERE / "sparse-svc-0.20.4.pkl").write_bytes(data)

for name, model in MODELS.items():
    data = pickle.dumps(model.fit(X, Y), 2)
    (HERE / f"{name}-{sklearn.__version__}.pkl").write_bytes(data)
