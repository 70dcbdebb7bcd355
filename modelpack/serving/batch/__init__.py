"""`predict` without a service: rows from a file or a pipe, chunk by chunk, answers to another.

The rows pass through the decoder of requests, so that the rules, the words about what is wrong and
the answers are those of the service; a chunk is answered as a request of the same rows is.
"""
