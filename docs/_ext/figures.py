"""What the library shows, made while the docs are built: ``{plot}`` a chart, ``{cell}`` a cell.

The argument is an expression over `sk`, and over ``load`` and ``load_ranks``, which take the name
of a fixture; the content is the caption. So readers see what the library draws today, and no
drawing is kept in the repository.
"""

from __future__ import annotations

import base64
import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vl_convert
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import skiptrace as sk

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures"


@cache
def load(name: str) -> sk.Trace:
    """A fixture of the tests."""
    return sk.load(FIXTURES / f"{name}.json.gz")


@cache
def load_ranks(name: str) -> sk.Ranks:
    """The two ranks of a fixture."""
    return sk.load_ranks([FIXTURES / f"{name}_rank{rank}.json.gz" for rank in (0, 1)])


class Shown(SphinxDirective):
    """The value of an expression within its page, where pages are HTML; a caption below it."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Evaluate the expression, and show its value."""
        code = self.arguments[0]
        figure = nodes.figure()
        if self.env.app.builder.format == "html":
            try:
                value = eval(code, {"sk": sk, "load": load, "load_ranks": load_ranks})  # noqa: S307
            except Exception as error:
                message = f"{code} cannot be shown: {error!r}"
                raise self.error(message) from error
            figure += nodes.raw("", self.drawn(value), format="html")
        caption, messages = self.parse_inline(" ".join(self.content))
        figure += nodes.caption("", "", *caption)
        self.set_source_info(figure)
        return [figure, *messages]

    def drawn(self, value: Any) -> str:  # noqa: ANN401  of whatever the page shows
        """The value as HTML."""
        raise NotImplementedError


class Plot(Shown):
    """A chart as an image that needs no file beside the page."""

    def drawn(self, value: Any) -> str:  # noqa: ANN401
        """The smaller of two images: of a timeline's thousand pieces that is a picture."""
        spec, title = value.to_json(), html.escape(" ".join(value.title.text))
        kinds = {
            "svg+xml": vl_convert.vegalite_to_svg(spec).encode(),
            "png": vl_convert.vegalite_to_png(spec, scale=2),
        }
        kind, image = min(kinds.items(), key=lambda item: len(item[1]))
        width = f' width="{int.from_bytes(image[16:20]) // 2}"' if kind == "png" else ""
        source = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
        return f'<img alt="{title}"{width} src="{source}" />'


class Cell(Shown):
    """What a notebook shows of a value."""

    def drawn(self, value: Any) -> str:  # noqa: ANN401
        """The HTML that notebooks ask for."""
        made: str = value._repr_html_()
        return f'<div style="text-align:left">{made}</div>'


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives with Sphinx."""
    app.add_directive("plot", Plot)
    app.add_directive("cell", Cell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
