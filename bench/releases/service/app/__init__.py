"""A shop's catalogue and orders, as a team would write it: nothing here knows of backendctl."""
