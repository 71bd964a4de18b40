"""One worker process, and one request on it."""
