"""`backendctl infra`: what it does with the stacks of an environment, whoever asks."""
