"""Event columns to a Trace: schema, frames, links, steps, windows, health."""
