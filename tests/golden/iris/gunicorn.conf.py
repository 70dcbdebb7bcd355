"""How gunicorn serves app.py; `python -m gunicorn` in this folder reads this file.

PORT and WEB_CONCURRENCY (the number of workers) can be set in the environment, and everything
else by GUNICORN_CMD_ARGS.
"""

import os

from modelpack.serving import cpu, limits
from modelpack.serving.hooks import child_exit, post_fork, post_worker_init, pre_fork, worker_exit

cpu.one_thread_each()

wsgi_app = "app:app"
bind = f"0.0.0.0:{limits.port(os.environ)}"

# The model is loaded before the workers are forked, so that they share its memory.
preload_app = True
workers = cpu.workers()

# One thread reads and writes, one predicts: slow clients cannot hold up the others.
worker_class = "modelpack.serving.worker.Worker"
limit = limits.from_environment(os.environ)
limit_request_line = limit.line_bytes
limit_request_fields = limit.headers
limit_request_field_size = limit.header_bytes

# Heartbeats in memory: a busy disk must not make a worker look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

# What is being answered when SIGTERM comes is still answered.
graceful_timeout = 30
# A worker whose event loop stands still: the model keeps the interpreter to itself.
timeout = 2 * limit.predict_seconds

# One way in.
control_socket_disable = True
