"""What the actions of a pipeline do: one module for each provider, each a function from `Work` to `Outcome`."""
