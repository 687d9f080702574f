"""What the service does: transactions, cache, rules that need both."""
