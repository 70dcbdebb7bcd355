"""Serves bundles, one after the other, with the libraries imported only once.

    python serve.py

Reads a JSON document per line: {"bundle": FOLDER, "port": PORT, "log": FILE} starts gunicorn in a
fork of this process and prints its process id; {"stop": PID} ends it and prints its exit status.
"""

import importlib
import json
import os
import signal
import sys

LIBRARIES = (
    "numpy", "scipy.stats", "pandas", "pyarrow.parquet", "sklearn.ensemble", "sklearn.pipeline",
    "sklearn.compose", "sklearn.svm", "sklearn.neural_network", "sklearn.impute", "joblib",
    "lightgbm", "xgboost", "catboost", "imblearn.pipeline", "category_encoders",
    "feature_engine.imputation", "statsmodels.api", "flask", "gunicorn.app.wsgiapp", "orjson",
    "prometheus_client",
)  # fmt: skip


def main():
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    for line in sys.stdin:
        request = json.loads(line)
        stop = request.get("stop")
        answer = _stop(stop) if stop else os.fork() or _serve(**request)
        sys.stdout.write("{}\n".format(answer))
        sys.stdout.flush()


def _serve(bundle, port, log):
    """Become the gunicorn of a bundle; never returns."""
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.setsid()
        os.chdir(bundle)
        sys.path[0] = bundle
        bind = "--bind=127.0.0.1:{}".format(port)
        config = bundle + "/gunicorn.conf.py"
        sys.argv = ["gunicorn", "--config", config, "--chdir", bundle, bind, "app:app"]
        from gunicorn.app.wsgiapp import run

        run()
    finally:
        os._exit(1)


def _stop(pid):
    os.kill(pid, signal.SIGTERM)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    main()
