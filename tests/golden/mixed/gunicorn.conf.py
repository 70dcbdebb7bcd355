"""Settings of gunicorn. `python -m gunicorn` in this folder reads this file.

Set PORT and WEB_CONCURRENCY in the environment, and anything else with GUNICORN_CMD_ARGS.
"""

import os

from modelpack.serving import platforms, settings
from modelpack.serving.hooks import child_exit, post_fork, post_worker_init, pre_fork, worker_exit

settings.limit_threads()  # before numpy is imported

wsgi_app = "app:app"
bind = settings.bind()

worker_class = "modelpack.serving.server.Worker"
workers = platforms.worker_count()
preload_app = True  # workers share the memory of the model

limits = platforms.limits()
limit_request_line = limits.line_bytes
limit_request_fields = limits.headers
limit_request_field_size = limits.header_bytes

# Heartbeats are written to memory, because a busy disk would make a worker look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

graceful_timeout = platforms.drain_seconds()  # seconds for open requests after SIGTERM
timeout = platforms.worker_seconds(limits.predict_seconds)  # until a silent worker is replaced
control_socket_disable = True
