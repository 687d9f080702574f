"""Append, checksum and read back records."""
