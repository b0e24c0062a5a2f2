"""A Trace to figures: one verb a file."""
