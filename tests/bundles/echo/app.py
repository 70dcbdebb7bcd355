"""The least that an engine can run: says what it is asked, and what it runs as."""

import os

from flask import Flask, request

app = Flask(__name__)


@app.get("/healthz")
@app.get("/readyz")
def fine():
    return {"status": "ok"}


@app.post("/predict")
def predict():
    return {"predictions": request.get_json()["instances"]}


@app.get("/process")
def process():
    return {"uid": os.getuid(), "environ": dict(os.environ), "writable": os.access("/app", os.W_OK)}
