"""OpenAPI 3.1 of the service of this model: https://spec.openapis.org/oas/v3.1.1.

`document.py` builds the document when a client requests GET /openapi.json, a route of
`protocols/metadata.py`. Each protocol describes its paths; this folder contains what they share.
"""
