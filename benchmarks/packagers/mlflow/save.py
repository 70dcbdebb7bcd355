"""Saves model.joblib in MLflow's own format, which is all that it makes images of."""

import joblib
import mlflow.sklearn

model = joblib.load("model.joblib")
mlflow.sklearn.save_model(model, "model", pip_requirements=["scikit-learn==1.7.2"])
