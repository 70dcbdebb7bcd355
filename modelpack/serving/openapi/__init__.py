"""OpenAPI 3.1 of the service of this model: https://spec.openapis.org/oas/v3.1.1.

A protocol describes its paths in a function. This folder has what they share.
"""
