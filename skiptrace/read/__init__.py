"""Bytes to event columns: decompression, JSON, exact times, begin/end pairs."""
