"""Traces kept: written to folders and read back."""
