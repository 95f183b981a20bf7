"""Studies: many runs of experiments, kept, and looked at together."""
