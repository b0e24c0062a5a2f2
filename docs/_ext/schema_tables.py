"""The directive ``{schema} NAME``: the columns of a frame as a table, from the schema module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from skiptrace.model import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

HEADINGS = {"column": 22, "dtype": 12, "unit": 8, "meaning": 58}  # name: relative width


class SchemaTable(SphinxDirective):
    """A table with a row for each column of the frame NAME: its name, dtype, unit and meaning."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the table, and have the page built again whenever the schema module changes."""
        self.env.note_dependency(schema.__file__)
        frame = self.arguments[0]
        if frame not in schema.FRAMES:
            known = ", ".join(sorted(schema.FRAMES))
            message = f"the schema has no frame {frame!r}; it has: {known}"
            raise self.error(message)
        group = nodes.tgroup(cols=len(HEADINGS))
        group += [nodes.colspec(colwidth=width) for width in HEADINGS.values()]
        group += nodes.thead("", self.row([nodes.Text(heading)] for heading in HEADINGS))
        group += nodes.tbody(
            "",
            *(
                self.row(
                    (
                        [nodes.literal(text=column.name)],
                        [nodes.literal(text=str(column.dtype))],
                        [nodes.Text(column.unit)],
                        self.parse_inline(column.meaning)[0],
                    )
                )
                for column in schema.FRAMES[frame]
            ),
        )
        table = nodes.table("", group, classes=["schema"])
        self.set_source_info(table)
        return [table]

    @staticmethod
    def row(cells: Iterable[list[nodes.Node]]) -> nodes.row:
        """One row of the table, each cell a paragraph of the given inline nodes."""
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive with Sphinx."""
    app.add_directive("schema", SchemaTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
