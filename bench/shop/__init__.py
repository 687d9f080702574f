"""What the crash matrix and the rollout bench share: a shop, its users, and drivers to kill."""
