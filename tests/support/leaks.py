"""Values of requests that logs and metrics may not contain."""

from __future__ import annotations

import re

LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|/(usr|opt|app|tmp|home|etc|srv|work|root|dev)\b"
    r"|flask|werkzeug|gunicorn|sklearn|numpy|orjson|prometheus|python|modelpack\.serving"
    r"|[A-Z][a-z]+(Error|Exception|Warning)|Pipeline|LogisticRegression|Stubborn|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
