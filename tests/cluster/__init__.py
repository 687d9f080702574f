"""A real Kubernetes for the tests, on one machine, without Docker.

`python -m tests.cluster up --state DIR` starts it, `down` ends it and leaves nothing behind.
"""
