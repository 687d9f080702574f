"""Words and rules of the trade. Knows no framework, no database, no network."""
