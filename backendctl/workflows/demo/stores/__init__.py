"""The build context of the demo's throw-away database and cache."""
