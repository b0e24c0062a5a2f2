"""Names and sentences as Markdown that says no more than they do: nothing in them has a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from skiptrace.show.text import shorten

NAME_WIDTH = 80
"""Characters of a name before its middle is left out."""

# Underscores inside of words mean nothing, and escaping them would make names hard to read.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~&@$]|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.")


def code(name: str | None, width: int = NAME_WIDTH) -> str:
    """A name that a trace gives, as a code span: it stays on its line and is no markup.

    What would end the span or a cell of a table is shown as what looks like it.
    """
    if not name:
        return "-"
    text = shorten(name, width).replace("`", "'").replace("|", "\N{BROKEN BAR}").strip()
    return f"`{text}`" if text else "-"


def escaped(text: str) -> str:
    """A sentence that may hold parts of a trace: what Markdown would read in it is escaped."""
    return _SPECIAL.sub(lambda found: "".join(f"\\{c}" for c in found[0]), shorten(text, 1000))


def table(headings: Iterable[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A table; cells are Markdown already. The first `left` columns are text, the rest numbers."""
    names = list(headings)
    rule = ["---" if i < left else "---:" for i in range(len(names))]
    return [f"| {' | '.join(cells)} |" for cells in (names, rule, *rows)]
