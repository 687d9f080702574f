"""Good and bad releases of an ordinary service, deployed as its team would, under its users."""
