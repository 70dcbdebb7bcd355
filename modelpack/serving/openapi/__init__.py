"""OpenAPI 3.1 of exactly this model's service: https://spec.openapis.org/oas/v3.1.1.

A dialect tells its own paths, in its `describe(service)`; what they share is made here.
"""
