"""Every frame's columns: name, dtype, unit, meaning. The docs' tables and tests come from here."""

from skiptrace.model.schema import archived, breakdowns, measured, predicted, recorded, several
from skiptrace.model.schema.column import Column

FRAMES: dict[str, tuple[Column, ...]] = {
    **recorded.FRAMES, **measured.FRAMES, **predicted.FRAMES, **breakdowns.FRAMES,
    **several.FRAMES, **archived.FRAMES,
}  # fmt: skip
"""Frame or verb -> its columns (``tklqt`` and ``idle_causes``: after the key columns)."""
