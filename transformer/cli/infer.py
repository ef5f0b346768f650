"""`schema infer` and `schema diff`: a schema file from what an export holds, and what changes with another one."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show

if TYPE_CHECKING:
    from transformer.job.infer import Inferred


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `schema`."""
    app.command("infer")(infer)
    app.command("diff")(diff)


def infer(
    export: options.Export,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the schema file here. Default: to stdout."),
    ] = None,
    table: options.Table = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="PK[,SK]", help="The key attributes. Default: found and proved on the data."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", help="Read the first N items only; the file says so. Default: all."),
    ] = None,
    tight: Annotated[bool, typer.Option("--tight", help="The narrowest types, without head-room.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Threads that read. Default: one a core.")
    ] = None,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Propose a schema file from every line of an export."""
    from transformer.job.infer import InferRequest, write_schema
    from transformer.job.infer import infer as run

    result = run(
        InferRequest(
            export=export,
            table=table,
            key=tuple(key.split(",")) if key else (),
            sample=sample,
            tight=tight,
            workers=workers,
            storage_options=options.storage_options(storage_option),
        )
    )
    if output is not None:
        write_schema(output, result.text)
    show(_record(result, output), lambda: _text(result, output, export), as_json=as_json)


def _record(result: Inferred, output: Path | None) -> dict[str, object]:
    return {
        "table": result.table,
        "file": None if output is None else str(output),
        "key": list(result.key.attributes),
        "key_proven": result.key.proven,
        "key_note": result.key.note,
        "items": result.profile.items,
        "faults": result.profile.faults,
        "columns": [
            {"path": list(column.path), "type": column.type.sql, "why": column.why} for column in result.columns
        ],
        "notes": result.notes,
        "schema": result.text,
        "seconds": result.seconds,
    }


def _text(result: Inferred, output: Path | None, export: str) -> str:
    if output is None:
        return result.text.rstrip("\n")
    proven = "" if result.key.proven else " (not proven)"
    return (
        f"{output}: table {result.table}, key {', '.join(result.key.attributes)}{proven}, "
        f"{len(result.columns)} columns from {result.profile.items:,} items\n"
        f"next: {shlex.join(['dynamo2ch', 'snapshot', export, '--schema', str(output)])}"
    )


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Schema file of the table as it is.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Schema file as it should be.", show_default=False)],
    as_json: options.Json = False,
) -> None:
    """Compare two schema files of one table, with the ALTER TABLE statements."""
    from transformer.schema.drift import changes
    from transformer.schema.file import load_schema

    found = changes(load_schema(old), load_schema(new))

    def text() -> str:
        lines = []
        for change in found:
            notes = ["stop the ClickPipe first"] if change.stream else []
            notes += ["older rows keep what they have: load again for the rest"] if change.reload else []
            lines.append(f"-- {change.what}" + (f" ({'; '.join(notes)})" if notes else ""))
            if change.sql:
                lines.append(f"{change.sql};")
        return "\n".join(lines) or "no difference"

    record = {"old": str(old), "new": str(new), "changes": [asdict(change) for change in found]}
    show(record, text, as_json=as_json)
