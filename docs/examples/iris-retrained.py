# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3", "pandas==2.3.3",
# ]
# ///
"""The model of sample_models/iris once more, of every third flower and held back more."""

from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

iris = load_iris(as_frame=True)
species = iris.target_names[iris.target]

model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, random_state=0))
model.fit(iris.data[::3], species[::3])
joblib.dump(model, Path(__file__).with_suffix(".joblib"))
