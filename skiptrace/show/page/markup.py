"""HTML as nested calls: the one place where text becomes markup, and so where it is escaped."""

from __future__ import annotations

from html import escape
from typing import TypeAlias

from skiptrace.show.text import printable, shorten


class Markup(str):
    """Text that is HTML already: it is put in as it stands, all other text is escaped."""

    __slots__ = ()


Part: TypeAlias = str | None
"""What an element holds: text, markup, or nothing."""

_VOID = frozenset({"hr", "input", "meta"})
"""Elements that hold nothing and are not closed."""
NAME_WIDTH = 96
"""Characters of a name that is shown; a longer one stands whole where the pointer rests on it."""
WHOLE = 26
"""A name of so many characters is not broken into lines."""


def text(part: str) -> Markup:
    """The part as HTML. What could steer the browser's text (bidi marks, NUL) is taken out."""
    return part if isinstance(part, Markup) else Markup(escape(printable(part)))


def join(*parts: Part) -> Markup:
    """Parts behind each other."""
    return Markup("".join(text(part) for part in parts if part is not None))


def element(tag: str, *parts: Part, **attributes: str | int | bool | None) -> Markup:
    """An element. Of attributes `data_v` is written ``data-v``, `class_` ``class``, None not."""
    written = "".join(
        f" {_attribute(key)}" + ("" if value is True else f'="{text(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(*parts)}</{tag}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def name(value: str, width: int = NAME_WIDTH) -> Markup:
    """A name from the trace, its middle cut out where it is long."""
    short = shorten(value, width)
    kind = "name long" if len(short) > WHOLE else "name"
    return element("span", short, class_=kind, title=value if short != value else None)


def bar(share: float, tone: str = "") -> Markup:
    """A bar of that share of its place. As SVG: inline styles are forbidden on the page."""
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}"
    fill = element("rect", width=width, height="4", class_=tone or None)
    return element(
        "svg", fill, class_="bar", viewBox="0 0 100 4", preserveAspectRatio="none",
        aria_hidden="true",
    )  # fmt: skip
