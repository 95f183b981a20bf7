"""A strategy from a distribution of its own; rmqueue finds it by its entry point."""
