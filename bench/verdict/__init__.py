"""Seeded simulation of the verdict on a virtual clock. Run: python -m bench.verdict"""
