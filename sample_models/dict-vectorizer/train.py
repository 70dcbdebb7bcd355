# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""A tuple of DictVectorizer and model, as courses save it: what a ride will take, in minutes."""

import json
import pickle
from pathlib import Path

from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression

directory = Path(__file__).parent
rides = [
    ({"zone": "centre", "hour": "morning", "distance": 2.0}, 14.0),
    ({"zone": "centre", "hour": "evening", "distance": 3.5}, 25.0),
    ({"zone": "harbour", "hour": "morning", "distance": 5.0}, 21.0),
    ({"zone": "harbour", "hour": "night", "distance": 6.0}, 16.0),
    ({"zone": "hills", "hour": "evening", "distance": 8.0}, 34.0),
    ({"zone": "hills", "hour": "night", "distance": 9.5}, 26.0),
    ({"zone": "centre", "hour": "night", "distance": 4.0}, 13.0),
    ({"zone": "harbour", "hour": "evening", "distance": 4.5}, 24.0),
    ({"zone": "hills", "hour": "morning", "distance": 7.0}, 29.0),
]
vectorizer = DictVectorizer().fit([ride for ride, _ in rides])
model = LinearRegression().fit(
    vectorizer.transform([ride for ride, _ in rides]), [minutes for _, minutes in rides]
)
(directory / "model.pkl").write_bytes(pickle.dumps((vectorizer, model), protocol=4))

rows = [
    {"zone": "harbour", "hour": "night", "distance": 3.0},
    {"zone": "hills", "hour": "morning", "distance": 6.5},
    {"distance": 6.5, "hour": "evening", "zone": "centre"},
]
request = {"instances": rows}
response = {"predictions": model.predict(vectorizer.transform(rows)).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
