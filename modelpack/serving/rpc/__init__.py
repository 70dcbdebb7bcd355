"""gRPC of the Open Inference Protocol, in images that contain grpcio.

Each call becomes a request of V2 over HTTP that the worker's event loop handles like any other. So
both have the same decoder, limits, token, queue, batches, metrics and log lines.
"""
