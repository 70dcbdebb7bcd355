"""Saves the model anew as MLflow's own format, which is all that it serves."""

import os

import joblib
import mlflow.sklearn

TRUSTED = [
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
]

model = joblib.load(os.environ["PEER_MODEL"])
folder = f"{os.environ['PEER_FOLDER']}/model"
options = {"pip_requirements": ["scikit-learn"], "skops_trusted_types": TRUSTED}
mlflow.sklearn.save_model(model, folder, **options)
