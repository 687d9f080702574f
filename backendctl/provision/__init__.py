"""Pulumi stacks of an environment: preview, up, drift, destroy, locks, recovery.

What a stack is stands in `definition.py`; the stacks themselves are in `stacks/`. The engine is the
`pulumi` program, which `process.py` starts and stops; its words become ours in `events.py` and
`changes.py` (pure). One operation over several stacks is `operation.py`.
"""
