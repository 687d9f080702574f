"""The same result for a terminal, a CI system and a browser."""
