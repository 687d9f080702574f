"""Checks that say yes or no: each a module with one entry, all answering in `results.py`'s form."""
