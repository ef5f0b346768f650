"""`schema infer`, `diff` and `promote`: a schema file from the items of an export, and what to do when items change."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.job.infer import Inferred
    from transformer.schema.drift import Change


def register(app: typer.Typer) -> None:
    """Add the commands to the group of schema commands."""
    app.command("infer")(schema_infer)
    app.command("diff")(schema_diff)
    app.command("promote")(schema_promote)


def schema_infer(
    export: options.Export,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the schema file here. Default: stdout.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="A[,B]", help="Key attributes, if known: partition key[,sort key].")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", metavar="T", help="Destination table. Default: the name in the manifest.")
    ] = None,
    tight: Annotated[bool, typer.Option("--tight", help="Number types without head-room.")] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", min=1, help="Look at N items only; marked so in the file.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes that read. Default: one a core.")
    ] = None,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Propose a schema file from all items of a full export, with the evidence for every choice."""
    from transformer.job.infer import infer, write
    from transformer.source.export import find_export

    storage = options.storage_options(storage_option)
    found = find_export(export, storage)
    inferred = infer(
        found, key=_key(key), table=table, tight=tight, sample=sample, workers=workers, storage_options=storage
    )
    if output is not None:
        write(inferred.text, output)
    record = {"file": None if output is None else str(output), "export": found.shown, **inferred.to_dict()}
    show(record, lambda: _text(inferred, output, export), as_json=as_json)
    if not inferred.proven:
        sys.stderr.write(f"warning: the key is not proven: {inferred.key_evidence!a}\n")


def _key(given: str | None) -> tuple[str, ...]:
    return () if given is None else tuple(given.split(",", 1))


def _text(inferred: Inferred, output: Path | None, export: str) -> str:
    if output is None:
        return inferred.text.removesuffix("\n")
    return (
        f"{output}: table {inferred.table.name}, key {', '.join(inferred.key)}, {len(inferred.table.columns)} columns "
        f"from {inferred.profile.items:,} items\n"
        f"next: {shlex.join(['dynamo2ch', 'snapshot', export, '--schema', str(output)])}"
    )


def schema_diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Schema file of the table as it is.", show_default=False)],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="Schema file (.yaml), or a full export.", show_default=False)
    ],
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Show what differs between two schemas, or a schema and an export, with the ALTERs and what a stream notices."""
    from transformer.job.infer import infer
    from transformer.schema.drift import drift
    from transformer.schema.file import load_schema
    from transformer.source.export import find_export

    before = load_schema(old)
    if new.endswith((".yaml", ".yml")):
        after = load_schema(new)
    else:
        storage = options.storage_options(storage_option)
        key = [column.path[0] for column in before.key_columns]
        after = infer(find_export(new, storage), key=key, table=before.name, storage_options=storage).table
    changes = drift(before, after)
    record = {"old": str(old), "new": new, "changes": [change.to_dict() for change in changes]}
    show(record, lambda: _changes(changes), as_json=as_json)


def _changes(changes: Sequence[Change]) -> str:
    """Statements that can be run, everything else as SQL comments."""
    if not changes:
        return "-- no differences"
    lines = []
    for change in changes:
        lines.append(f"-- {change.kind}: {_one_line(change.what)}")
        if change.stream:
            lines.append(f"--   a live ClickPipe {_one_line(change.stream)}")
        if change.sql:
            lines.append(f"{change.sql};")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """`text` without line ends: names from outside must not end a comment."""
    return " ".join(text.split())


def schema_promote(
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
    from transformer.schema.names import Names
    from transformer.schema.promote import misfits, promoted, statement, with_column
    from transformer.schema.types import TypeSyntaxError, parse

    table = load_schema(file)
    try:
        wanted = parse(type_)
    except TypeSyntaxError as error:
        raise SchemaError(f"--type: {error}", remedy=error.remedy) from error
    taken = {column.name for column in table.columns} | {computed.name for computed in table.computed}
    taken |= {table.version_column, table.deleted_column, table.unmapped_column, table.raw_column}
    chosen = name or Names(taken).give([attribute])
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
