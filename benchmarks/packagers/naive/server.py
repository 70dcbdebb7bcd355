"""A model behind Flask, as written by hand in an afternoon."""

import joblib
from flask import Flask, jsonify, request

model = joblib.load("model.joblib")
app = Flask(__name__)


@app.post("/predict")
def predict():
    return jsonify(predictions=model.predict(request.get_json()["instances"]).tolist())
