"""Charts of the docs, drawn while they are built: the directive ``{plot}``.

Its argument is an expression of a chart over `sk`, and over ``load`` and ``load_ranks``, which take
the name of a fixture; its content is the caption. So readers see what the library draws, and no
drawing is kept in the repository.
"""

from __future__ import annotations

import base64
import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

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


class Plot(SphinxDirective):
    """A chart as an image within its page, and the code that made it above."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Draw the chart where pages are HTML; elsewhere there is the caption alone."""
        code = self.arguments[0]
        figure = nodes.figure()
        if self.env.app.builder.format == "html":
            figure += nodes.raw("", self.drawn(code), format="html")
        caption, messages = self.parse_inline(" ".join(self.content))
        figure += nodes.caption("", "", *caption)
        self.set_source_info(figure)
        return [figure, *messages]

    def drawn(self, code: str) -> str:
        """The chart as an image that needs no file beside the page."""
        try:
            chart = eval(code, {"sk": sk, "load": load, "load_ranks": load_ranks})  # noqa: S307  of the project's own pages
        except Exception as error:
            message = f"{code} cannot be drawn: {error!r}"
            raise self.error(message) from error
        spec, title = chart.to_json(), html.escape(" ".join(chart.title.text))
        sizes = {
            "svg+xml": vl_convert.vegalite_to_svg(spec).encode(),
            "png": vl_convert.vegalite_to_png(spec, scale=2),
        }  # of a timeline's thousand pieces a picture is the smaller
        kind, image = min(sizes.items(), key=lambda item: len(item[1]))
        width = f' width="{int.from_bytes(image[16:20]) // 2}"' if kind == "png" else ""
        source = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
        return f'<img alt="{title}"{width} src="{source}" />'


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive with Sphinx."""
    app.add_directive("plot", Plot)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
