"""A Trace to what it means: verdicts."""
