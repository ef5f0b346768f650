"""`schema promote`: a column of its own for an attribute that went into `_unmapped`."""

from __future__ import annotations

from typing import Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show


def register(app: typer.Typer) -> None:
    """Add the command to the group of schema commands."""
    app.command("promote")(promote)


def promote(
    file: options.SchemaArgument,
    attribute: Annotated[
        str, typer.Argument(metavar="ATTRIBUTE", help="Top-level attribute without a column.", show_default=False)
    ],
    type_: Annotated[
        str, typer.Option("--type", metavar="T", help="Nullable(String), Nullable(Bool) or Nullable(IntN).")
    ] = "Nullable(String)",
    name: Annotated[
        str | None, typer.Option("--name", metavar="C", help="Name of the column. Default: made from the attribute.")
    ] = None,
    to: options.To = None,
    as_json: options.Json = False,
) -> None:
    """Give an unmapped attribute its own column, for stored rows too: print the SQL, or with --to do it.

    With --to the stored values are checked first, then the table is altered, then the schema file. Without, nothing is
    changed: the first statement must give 0 before the second one is run.
    """
    import contextlib

    from transformer.errors import MismatchError, SchemaError
    from transformer.load.destination import open_destination
    from transformer.schema.file import load_schema
    from transformer.schema.promote import misfits, promoted, statement, with_column
    from transformer.schema.types import TypeSyntaxError, parse

    table = load_schema(file)
    try:
        wanted = parse(type_)
    except TypeSyntaxError as error:
        raise SchemaError(f"--type: {error}", remedy=error.remedy) from error
    chosen = name or "".join(character if character.isalnum() else "_" for character in attribute)
    column = promoted(table, attribute, chosen, wanted).columns[-1]
    text = with_column(file, column)
    check, sql = misfits(table, column), statement(table, column)
    if to is not None:
        with contextlib.closing(open_destination(to)) as destination:
            left = int(destination.query(f"{check} FORMAT TSV"))
            if left:
                raise MismatchError(
                    f"{left:,} stored values of {attribute!r} would not come out exactly as {wanted.sql}",
                    remedy=f"Choose another type, or load into a new table. They are counted by: {check}",
                )
            destination.query(sql)
        file.write_text(text, encoding="utf-8")
    record = {"file": str(file), "column": chosen, "check": check, "sql": sql, "done": to is not None}
    show(record, lambda: f"{check};\n{sql};" if to is None else f"{file}: column {chosen} added", as_json=as_json)
