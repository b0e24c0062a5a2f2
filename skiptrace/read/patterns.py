"""Path patterns with names in braces, ``"{model}_b{batch}_*.json.gz"``, and what they find."""

from __future__ import annotations

import re

_NAMES = re.compile(r"\{(\w*)(:d)?\}")
_WILD = re.compile(r"(\*\*[/\\]|\*+|\?|\[!?\]?[^\]]*\]|[/\\])")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})$")
"""Whole numbers that are the same text again: not 007, which may be a name."""


def glob_regex(part: str) -> str:
    """A glob's part as a regular expression; its wildcards, but for ``**``, keep to a folder."""
    made = []
    for piece in _WILD.split(part):
        if piece[:2] == "**" and piece[-1] in "/\\":
            made.append(r"(?:.*?[/\\])?")
        elif piece.startswith("*"):
            made.append(r"[^/\\]*?")
        elif piece == "?":
            made.append(r"[^/\\]")
        elif piece in ("/", "\\"):
            made.append(r"[/\\]")
        elif len(piece) > 2 and piece.startswith("["):
            inside = re.sub(r"[\\\[\]&~|]", r"\\\g<0>", piece[1:-1])
            made.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
        else:
            made.append(re.escape(piece))
    return "".join(made)


def named_regex(pattern: str) -> re.Pattern[str]:
    """What fits the end of a path, from the start of a folder's or file's name on.

    ``{name}`` fits one or more characters of one name, as few as can be; ``{name:d}`` digits.

    Raises
    ------
    ValueError
        No names, one that is no Python name, or one twice; says which.
    """
    parts = _NAMES.split(pattern)
    names = parts[1::3]
    if not names:
        raise ValueError("it has no name in braces")
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"{{{name}}} is no name")
        if names.count(name) > 1:
            raise ValueError(f"{{{name}}} stands in it twice")
    made = [glob_regex(parts[0])]
    for name, digits, after in zip(names, parts[2::3], parts[3::3], strict=True):
        value = r"[0-9]+" if digits else r"[^/\\]+?"
        made += [f"(?P<{name}>{value})", glob_regex(after)]
    return re.compile(rf"(?:.*[/\\])?{''.join(made)}\Z", re.DOTALL)


def labels_of(path: str, fits: re.Pattern[str]) -> dict[str, int | str]:
    """The values of the names in a path, whole numbers as such; nothing where it does not fit."""
    found = fits.match(path)
    values = found.groupdict() if found else {}
    return {name: int(text) if _WHOLE.match(text) else text for name, text in values.items()}
