"""Explainers of SHAP, each saved by the release that its name contains.

python train.py NAME..., with an interpreter and releases such as these:

tree      3.7   shap==0.35.0 scikit-learn==0.22.2 numpy==1.21.6 numba==0.55.2
linear    3.7   shap==0.39.0 scikit-learn==0.24.2 numpy==1.21.6 numba==0.55.2
kernel    3.8   shap==0.41.0 scikit-learn==1.0.2 numpy==1.21.6 numba==0.55.2
link, cloud, own, pair  3.10  shap==0.44.1 scikit-learn==1.3.2
tree, link  3.12  shap==0.54.1 scikit-learn==1.9.1
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import shap
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

HERE = Path(__file__).parent
X = np.random.RandomState(0).rand(12, 2)
Y = (X[:, 0] > 0.5) * 1


def model():
    return LogisticRegression().fit(X, Y)


def tree():
    return shap.TreeExplainer(DecisionTreeClassifier(max_depth=1).fit(X, Y))


def linear():
    return shap.LinearExplainer(model(), X)


def kernel():
    return shap.KernelExplainer(model().predict_proba, X[:2], link="logit")


def link():
    return shap.explainers.Permutation(model().predict_proba, X[:2], link=shap.links.logit)


def pair():
    explained = model()
    return {"model": explained, "explainer": shap.KernelExplainer(explained.predict, X[:2])}


def main():
    for name in sys.argv[1:]:
        with (HERE / f"{name}-shap-{shap.__version__}.pkl").open("wb") as file:
            if name == "own":
                link().save(file)
            elif name == "cloud":
                import cloudpickle

                cloudpickle.dump(kernel(), file)
            else:
                pickle.dump(globals()[name](), file, 2 if name == "kernel" else 4)


if __name__ == "__main__":
    main()
