"""What tests of the report ask of its page: its elements, read by the standard library's parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import skiptrace as sk

VOID = {"hr", "input", "meta"}


@dataclass
class Node:
    """An element with what it holds."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def walk(self) -> Iterator[Node]:
        """Every element inside, in order."""
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.walk()

    def all(self, tag: str | None = None, **wanted: str) -> list[Node]:
        """The elements inside of that tag and those attributes; `class_` is one of its classes."""
        return [
            node
            for node in self.walk()
            if (tag is None or node.tag == tag) and all(node.has(k, v) for k, v in wanted.items())
        ]

    def has(self, key: str, value: str) -> bool:
        given = self.attributes.get(key.rstrip("_").replace("_", "-"))
        return value in (given or "").split() if key == "class_" else given == value

    def one(self, tag: str | None = None, **wanted: str) -> Node:
        (found,) = self.all(tag, **wanted)
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parsed(html: str) -> Node:
    """The document as a tree; fails where an element is not closed, or closed elsewhere."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, [node.tag for node in reader.open]
    return reader.open[0]


def page_of(trace: object, folder: Path, **options: object) -> Node:
    """The report as a tree."""
    path = sk.report(trace, folder / "report.html", **options)  # type: ignore[arg-type]
    return parsed(path.read_text(encoding="utf-8"))


def rows_of(table: Node) -> list[list[str | None]]:
    """The raw values of a table's cells: of numbers as written for sorting, else the text."""
    return [
        [cell.attributes.get("data-v", cell.text) for cell in row.all("td")]
        for row in table.one("tbody").all("tr")
    ]
