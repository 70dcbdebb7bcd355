import os
import sys
from http.client import HTTPConnection

connection = HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8080")), timeout=4)
connection.request("GET", "/healthz")
sys.exit(connection.getresponse().status != 200)
