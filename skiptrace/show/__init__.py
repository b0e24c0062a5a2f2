"""Figures to people: tables in a terminal, JSON for machines."""
