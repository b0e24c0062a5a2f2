"""Tables made from the library's own: columns, keys, health kinds, advice.

Directives: ``{schema} FRAME``, ``{schema-keys} VERB``, ``{health-kinds}``, ``{advice}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from skiptrace.model import health, schema
from skiptrace.show import advice

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

KEYS: dict[str, dict[str, tuple[schema.column.Column, ...]]] = {
    "tklqt": schema.measured.TKLQT_KEYS,
    "kernels": schema.breakdowns.KERNEL_KEYS,
    "ops": schema.breakdowns.OP_KEYS,
    "idle_causes": {by: (column,) for by, column in schema.measured.IDLE_KEYS.items()},
}
"""Verb -> its ``by`` -> the key columns."""


class Table(SphinxDirective):
    """A table whose rows a subclass takes from a module of the library."""

    headings: ClassVar[dict[str, int]]
    """Heading -> relative width."""
    source: ClassVar[str]
    """The file that the rows come from."""

    def rows(self) -> Iterator[tuple[list[nodes.Node], ...]]:
        """The cells of each row."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Build the table, and have the page built again whenever its source changes."""
        self.env.note_dependency(self.source)
        group = nodes.tgroup(cols=len(self.headings))
        group += [nodes.colspec(colwidth=width) for width in self.headings.values()]
        group += nodes.thead("", _row(map(_text, self.headings)))
        group += nodes.tbody("", *(_row(cells) for cells in self.rows()))
        table = nodes.table("", group, classes=["schema"])
        self.set_source_info(table)
        return [table]

    def chosen(self, what: str, names: Iterable[str]) -> str:
        """The directive's argument, if it is one of `names`."""
        given: str = self.arguments[0]
        if given not in (known := sorted(names)):
            message = f"the schema has no {what} {given!r}; it has: {', '.join(known)}"
            raise self.error(message)
        return given

    def described(self, column: schema.column.Column) -> tuple[list[nodes.Node], ...]:
        """The cells of a column."""
        return (
            _code(column.name),
            _code(str(column.dtype)),
            _text(column.unit),
            self.parse_inline(column.meaning)[0],
        )


class SchemaTable(Table):
    """A row for each column of a frame: its name, dtype, unit and meaning."""

    required_arguments = 1
    headings: ClassVar = {"column": 22, "dtype": 12, "unit": 8, "meaning": 58}
    source = schema.__file__

    def rows(self) -> Iterator[tuple[list[nodes.Node], ...]]:
        """The columns of the frame."""
        return map(self.described, schema.FRAMES[self.chosen("frame", schema.FRAMES)])


class KeyTable(Table):
    """A row for each key column that a ``by`` of a verb gives."""

    required_arguments = 1
    headings: ClassVar = {"by": 16, "column": 16, "dtype": 12, "unit": 8, "meaning": 48}
    source = schema.__file__

    def rows(self) -> Iterator[tuple[list[nodes.Node], ...]]:
        """The key columns of every ``by``."""
        for by, columns in KEYS[self.chosen("keys of", KEYS)].items():
            for column in columns:
                yield (_code(by), *self.described(column))


class HealthTable(Table):
    """A row for each kind of finding that health knows."""

    headings: ClassVar = {"kind": 22, "severity": 10, "meaning": 48, "affects": 20}
    source = health.__file__

    def rows(self) -> Iterator[tuple[list[nodes.Node], ...]]:
        """The kinds, in the order of the table."""
        for kind, (severity, meaning, affects) in health.MEANINGS.items():
            yield (_code(kind), _text(severity), _text(meaning), _text(affects))


class AdviceTable(Table):
    """A row for each cause of idle time: what the report says to do about it."""

    headings: ClassVar = {"cause": 16, "what it tells, and what to do": 84}
    source = advice.__file__

    def rows(self) -> Iterator[tuple[list[nodes.Node], ...]]:
        """The causes, in the order that settles ties."""
        for cause in schema.column.ACTIVITIES:
            yield (_code(cause), _text(advice.ADVICE[cause]))


def _code(text: str) -> list[nodes.Node]:
    return [nodes.literal(text=text)]


def _text(text: str) -> list[nodes.Node]:
    return [nodes.Text(text)]


def _row(cells: Iterable[list[nodes.Node]]) -> nodes.row:
    """One row of a table, each cell a paragraph of the given inline nodes."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directives with Sphinx."""
    app.add_directive("schema", SchemaTable)
    app.add_directive("schema-keys", KeyTable)
    app.add_directive("health-kinds", HealthTable)
    app.add_directive("advice", AdviceTable)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
