"""Rules over the resources of an environment's stacks: `check infra`."""
