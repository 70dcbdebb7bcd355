# /// script
# requires-python = "==3.13.*"
# dependencies = [
#     "scikit-learn==1.7.2", "joblib==1.5.2", "numpy==2.3.4", "scipy==1.16.3",
# ]
# ///
"""A vectoriser and a classifier, saved apart: is a message to a forum a question?"""

import json
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB

directory = Path(__file__).parent
questions = [
    "how do i open a file of this kind",
    "why does the program stop at the second step",
    "where can i find the old version",
    "what does this message mean",
    "who knows a faster way to sort a table",
    "when will the next release come out",
]
statements = [
    "it works after a restart of the machine",
    "the new version is faster than the old one",
    "the table is sorted by its first column",
    "thank you that was the answer",
    "the second step has to come before the first",
    "the file is in the folder of the program",
]
texts = questions + statements
kinds = ["question"] * len(questions) + ["statement"] * len(statements)

vectorizer = TfidfVectorizer(ngram_range=(1, 2)).fit(texts)
model = MultinomialNB().fit(vectorizer.transform(texts), kinds)
joblib.dump(vectorizer, directory / "vectorizer.joblib")
joblib.dump(model, directory / "model.joblib")

rows = [
    "how does one sort by the second column",
    "the answer is in the file",
    "where does the program stop",
]
request = {"instances": rows}
response = {"predictions": model.predict(vectorizer.transform(rows)).tolist()}
(directory / "request.json").write_text(json.dumps(request) + "\n")
(directory / "response.json").write_text(json.dumps(response) + "\n")
