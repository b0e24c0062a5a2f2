"""Hypothesis: no deadline, since shared machines stall and a first call loads libraries."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("skiptrace", deadline=None)
settings.load_profile("skiptrace")
