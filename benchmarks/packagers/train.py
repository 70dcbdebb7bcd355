"""python train.py FILE C: a model of iris, trained with this inverse strength of regularisation."""

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

path, strength = sys.argv[1:]
rows, classes = load_iris(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression(C=float(strength)))
joblib.dump(model.fit(rows, classes), path)
