"""Hypothesis: no deadline, since shared machines stall and a first call loads libraries."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile(
    "skiptrace", deadline=None, max_examples=int(os.environ.get("SKIPTRACE_EXAMPLES", "60"))
)
settings.load_profile("skiptrace")
