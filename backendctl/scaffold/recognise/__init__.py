"""What kind of service a repository holds, read from its files alone: nothing of it is run."""
