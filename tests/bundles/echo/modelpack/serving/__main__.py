import os
import sys

os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config=gunicorn.conf.py", "app:app"])
