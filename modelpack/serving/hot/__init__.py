"""Plain requests, answered without Flask: several together, each as if it had come alone.

Flask's routing, its request and response objects and the hooks around them take most of the time of
a small request. What a head asks for is the same each time, so it is asked of the dialects once and
kept; what is left is to read the body, to ask the model once for all that wait, and to write. A
request about which there is any doubt is Flask's: it knows the words for what is wrong.
"""

from __future__ import annotations

from .desk import Desk, of
from .heads import Plain

__all__ = ["Desk", "Plain", "of"]
