"""A model of texts behind FastAPI, with its types declared."""

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["PEER_MODEL"])
app = FastAPI()


class Request(BaseModel):
    instances: list[str]


@app.post("/predict")
async def predict(request: Request):
    return {"predictions": model.predict(request.instances).tolist()}
