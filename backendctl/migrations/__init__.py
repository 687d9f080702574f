"""What a release's migrations are, what they do to the code that serves, and what they lock.

Everything here reads files and SQL text; nothing imports the service's code or asks a database.
"""
