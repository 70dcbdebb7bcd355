"""\\x1b[31mred\\x1b[0m{{ 7 * 7 }}{% raw %}line\\nRUN touch /ownedcarriage\\rreturn\\u2028separator\\x85next$(touch /owned) `touch /owned` ${HOME}quote\" 'quote' \\\" \\\"\"\"\\nimport os\\n\"\"\"\\u202eright to left\\u2066\\x00nul| pipe | `code` ``more``1.9.1 --index-url http://evilzero\\u200bwidth, served.

A classifier of \\x1b[31mred\\x1b[0m{{ 7 * 7 }}{% raw %}line\\nRUN touch /ownedcarriage\\rreturn\\u2028separator\\x85next$(touch /owned) `touch /owned` ${HOME}quote\" 'quote' \\\" \\\"\"\"\\nimport os\\n\"\"\"\\u202eright to left\\u2066\\x00nul| pipe | `code` ``more``1.9.1 --index-url http://evilzero\\u200bwidth \\x1b[31mred\\x1b[0m{{ 7 * 7 }}{% raw %}line\\nRUN touch /ownedcarriage\\rreturn\\u2028separator\\x85next$(touch /owned) `touch /owned` ${HOME}quote\" 'quote' \\\" \\\"\"\"\\nimport os\\n\"\"\"\\u202eright to left\\u2066\\x00nul| pipe | `code` ``more``1.9.1 --index-url http://evilzero\\u200bwidth.
It takes 12 inputs a row; GET /signature tells more.

Serve it with `python -m gunicorn`, which reads gunicorn.conf.py beside this file.
Change what you like here: routes of your own, checks, other names. The facts of the model
are data, in modelpack.json; the code that serves it is in modelpack/serving.
"""

from pathlib import Path

from modelpack.serving import application, logs
from modelpack.serving.dialects import describe, health, invocations, predict
from modelpack.serving.service import Service

logs.configure()

# Check the model file's digest, load it, let it answer its own example. This is done once:
# gunicorn imports this file before it forks its workers.
service = Service.open(Path(__file__).parent)

app = application.create()

# POST /predict: {"instances": [...]}, each row a list in order or an object by name,
# answers {"predictions": [...]}, with ?probabilities=true also {"probabilities": [...]}.
app.register_blueprint(predict.routes(service))

# POST /invocations, GET /ping, /health, /version: as MLflow's and SageMaker's clients speak.
app.register_blueprint(invocations.routes(service))

# GET /healthz, the process lives; GET /readyz, the model answers.
app.register_blueprint(health.routes(service))

# GET /, the routes and an example; GET /signature, what goes in and comes out.
app.register_blueprint(describe.routes(service))
