"""The driver of a rollout killed at every record of its journal, in every kind of rollout."""
