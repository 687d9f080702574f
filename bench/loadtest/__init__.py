"""What the load generator can do and how exact its numbers are."""
