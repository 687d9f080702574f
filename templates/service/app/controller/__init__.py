"""HTTP in, HTTP out. The only layer that knows FastAPI."""
