"""`schema infer`: a schema file from the items of an export."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show

if TYPE_CHECKING:
    from transformer.job.infer import Inferred


def register(app: typer.Typer) -> None:
    """Add the command to the group of schema commands."""
    app.command("infer")(schema_infer)


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
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Propose a schema file from all items of a full export, with the evidence for every choice."""
    from transformer.job.infer import infer, write
    from transformer.source.export import find_export

    storage = options.storage_options(storage_option)
    found = find_export(export, storage)
    inferred = infer(found, key=_key(key), table=table, tight=tight, sample=sample, storage_options=storage)
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
