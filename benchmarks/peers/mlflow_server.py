"""Saves the model anew as MLflow's own format, which is all that it serves."""

import os

import joblib
import mlflow.sklearn

model = joblib.load(os.environ["PEER_MODEL"])
folder = f"{os.environ['PEER_FOLDER']}/model"
mlflow.sklearn.save_model(model, folder, pip_requirements=["scikit-learn"])
