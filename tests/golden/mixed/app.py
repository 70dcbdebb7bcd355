"""sklearn.pipeline.Pipeline of scikit-learn 1.9.1, served over HTTP: 4 inputs per row.

Run it with `python -m gunicorn`, which reads gunicorn.conf.py next to this file.
GET / lists the routes, GET /openapi.json describes them.
"""

from modelpack.serving import Service, create_app

service = Service.load(__file__)  # verified and loaded once, before gunicorn forks its workers
app = create_app(service)

# This file is yours. `app` is a Flask application: add routes and hooks below.
# `service.predict(rows)` returns what POST /predict returns.
# Serve fewer protocols with create_app(service, protocols=["predict", "v2"]).
