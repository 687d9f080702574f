"""Rollouts of every kind under users who never pause, and who notice everything."""
