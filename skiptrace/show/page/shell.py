"""The document around a report: its head, contents, style, script, and what may load: nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version

from skiptrace.show.page.markup import Markup, element, join

Section = tuple[str, str, Markup]
"""A part of the page: anchor, title, what it holds."""


def document(title: str, head: Markup, sections: Sequence[Section]) -> str:
    """The whole file."""
    style, script = (_own(f"page.{kind}") for kind in ("css", "js"))
    # Nothing is ever loaded, and of scripts and styles these two alone run: not one from a name.
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; "
        f"script-src 'sha256-{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    filled = [(key, heading, body) for key, heading, body in sections if body]
    links = [element("li", element("a", heading, href=f"#{key}")) for key, heading, _ in filled]
    page = join(
        element("header", head),
        element("nav", element("h2", "Contents"), element("ol", *links), aria_label="Contents"),
        element(
            "main",
            *(element("section", element("h2", heading), body, id=key, class_="part")
              for key, heading, body in filled),
        ),
        element("footer", element("p", f"Made by skiptrace {version('skiptrace')}. This file loads "
                                  "nothing: it can be kept, sent and opened anywhere.")),
    )  # fmt: skip
    top = join(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    body = join(page, element("script", Markup(script)))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{top}</head>\n<body>{body}</body></html>\n'


def _own(file: str) -> str:
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
