"""sklearn.pipeline.Pipeline, served.

A classifier of scikit-learn 1.9.1.
It takes 4 inputs a row; GET /signature tells more.

Serve it with `python -m gunicorn`, which reads gunicorn.conf.py beside this file.
Change what you like here: routes of your own, checks, other names. The facts of the model
are data, in modelpack.json; the code that serves it is in modelpack/serving.
"""

from pathlib import Path

from modelpack.serving import application, logs
from modelpack.serving.dialects import (
    describe,
    health,
    invocations,
    metrics,
    openapi,
    page,
    predict,
    v1,
    v2,
)
from modelpack.serving.service import Service

logs.configure()

# Ids and a line in the log for each request, the token if one is set, errors as problem+json.
app = application.create()

# Check the model file's digest, load it, let it answer its own example. This is done once:
# gunicorn imports this file before it forks its workers.
service = Service.open(Path(__file__).parent)

# POST /predict: {"instances": [...]}, each row a list in order or an object by name,
# answers {"predictions": [...]}, with ?probabilities=true also {"probabilities": [...]}.
app.register_blueprint(predict.routes(service))

# POST /invocations, GET /ping, /health, /version: as MLflow's and SageMaker's clients speak.
app.register_blueprint(invocations.routes(service))

# KServe V1: GET /v1/models, POST /v1/models/NAME:predict.
app.register_blueprint(v1.routes(service))

# Open Inference Protocol V2: GET /v2/models/NAME, POST /v2/models/NAME/infer.
app.register_blueprint(v2.routes(service))

# GET /healthz, the process lives; GET /readyz, the model answers.
app.register_blueprint(health.routes(service))

# GET /metrics, for Prometheus: what all workers count.
app.register_blueprint(metrics.routes(service))

# GET /, the playground for a browser, for others the model, the routes and an example as JSON.
app.register_blueprint(page.routes(service))

# GET /signature, what goes in and comes out.
app.register_blueprint(describe.routes(service))

# GET /openapi.json, all of these routes for machines.
app.register_blueprint(openapi.routes(service))
