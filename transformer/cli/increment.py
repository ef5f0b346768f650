"""`dynamo2ch increment`: load an incremental export."""

from __future__ import annotations

from typing import Annotated

import typer

from transformer.cli import options


def increment(
    context: typer.Context,
    export: options.Export,
    schema: options.Schema = None,
    to: options.To = None,
    table: options.Table = None,
    workers: options.Workers = None,
    memory: options.Memory = None,
    max_rejects: options.MaxRejects = 0,
    rejects: options.Rejects = None,
    restart: options.Restart = False,
    allow_gap: Annotated[
        bool,
        typer.Option("--allow-gap", help="Load it although it does not continue what the table holds (see the docs)."),
    ] = False,
    ledger: options.Ledger = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and judge everything, touch no destination.")
    ] = False,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Load an incremental export: what was put and updated as rows, what was deleted as tombstones.

    Its window must begin where another one in the table ends, or around the full export that the table was loaded from.
    """
    from transformer.cli.load import run_load
    from transformer.job.budget import parse_size
    from transformer.job.request import SnapshotRequest

    request = SnapshotRequest(
        export=export,
        incremental=True,
        allow_gap=allow_gap,
        schema=schema,
        destination=to,
        table=table,
        workers=workers,
        memory=None if memory is None else parse_size(memory),
        max_rejects=max_rejects,
        rejects=rejects,
        restart=restart,
        ledger=ledger,
        dry_run=dry_run,
        storage_options=options.storage_options(storage_option),
    )
    run_load(request, debug=bool(context.find_root().params["debug"]), as_json=as_json)
