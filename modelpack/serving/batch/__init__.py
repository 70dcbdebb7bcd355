"""`predict` without a service: predict the rows of a file or a pipe, chunk by chunk.

A chunk is decoded and predicted like a request with the same rows, so rules, errors and predictions
are those of the service.
"""
