"""Short ways to write lines and tables by hand in tests of decode."""

from __future__ import annotations

from transformer.decode.reference import Reference
from transformer.schema.table import Column, Convert, Table
from transformer.schema.types import parse


def marked(text: str) -> tuple[bytes, int]:
    """A line, and the offset of the `@` that is taken out of it (its end, if there is none)."""
    before, _, after = text.partition("@")
    return f"{before}{after}".encode(), len(before.encode())


def column(
    type_: str,
    path: str = "c",
    *,
    name: str = "c",
    convert: Convert | None = None,
    default: dict[str, object] | None = None,
) -> Column:
    """A column, with its path as dotted text."""
    return Column(name, tuple(path.split(".")), parse(type_), convert, default)


def table(*columns: Column, **settings: object) -> Table:
    """A table without a key, which keeps what has no column unless told otherwise."""
    return Table("t", (), columns, **settings)


def judged(of: Table, text: str) -> object:
    """What the twin says of a line, with version 7."""
    return Reference(of, version=7).judge(text.encode())
