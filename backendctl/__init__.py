"""backendctl: one file of promises, and everything derived from it and held to it."""

__version__ = "0.1.0"
