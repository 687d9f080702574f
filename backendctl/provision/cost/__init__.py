"""What resources cost in a month, offline, from a dated table of list prices."""
