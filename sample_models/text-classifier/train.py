# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""Words weighed by TF-IDF predict the topic of a message to a shop; the rows are texts."""

import json
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

directory = Path(__file__).parent
messages = {
    "delivery": [
        "Where is my parcel? It was sent a week ago.",
        "The parcel was left at the wrong address.",
        "Can the delivery be moved to Saturday?",
        "Tracking has not changed for three days.",
        "The courier rang and left before I reached the door.",
    ],
    "payment": [
        "I was charged twice for one order.",
        "My card is declined though there is money in the account.",
        "Please send an invoice with the tax on it.",
        "The voucher was not taken off the price.",
        "When will the money be back in my account?",
    ],
    "return": [
        "The shoes are too small, how do I send them back?",
        "I want to return a lamp that arrived broken.",
        "Is there a label for sending the coat back?",
        "The colour is not the one in the picture, I want to exchange it.",
        "How long may I keep it before I return it?",
    ],
}
texts = [text for group in messages.values() for text in group]
topics = [topic for topic, group in messages.items() for _ in group]

model = make_pipeline(TfidfVectorizer(), LogisticRegression(random_state=0))
model.fit(texts, topics)
joblib.dump(model, directory / "model.joblib")

rows = ["The parcel has not arrived.", "Why was my card charged again?", "I want to send it back."]
request = {"instances": rows}
response = {"predictions": model.predict(rows).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
