"""The command `dynamo2ch`.

Commands import what they need in their bodies: `--help` and completion must not wait for numba, pyarrow and the like.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from transformer.cli import (
    aws,
    clickpipe,
    config,
    estimate,
    infer,
    jobs,
    options,
    promote,
    report,
    synth_history,
    verify,
)
from transformer.cli.increment import increment
from transformer.cli.render import forget_stdout, show, show_error
from transformer.cli.warm import warm
from transformer.errors import Dynamo2chError, ExitCode, RetryError, SchemaError, UsageError

_EXIT_CODES = (
    "Exit codes: 0 done; 1 bug; 2 usage or configuration; 3 input rejected or corrupt; 4 verification mismatch; "
    "5 state conflict; 75 try again; 130 or 143 interrupted."
)

app = typer.Typer(
    name="dynamo2ch",
    help="Move a DynamoDB table into ClickHouse: exactly, or loudly rejected.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Every option has an environment variable too: DYNAMO2CH_<COMMAND>_<OPTION>.
    context_settings={"auto_envvar_prefix": config.PREFIX},
)
schema_app = typer.Typer(help="Schema files: validate them, print their SQL.", no_args_is_help=True)
app.add_typer(schema_app, name="schema")
app.add_typer(clickpipe.app, name="clickpipe")
verify.register(app)
infer.register(schema_app)
promote.register(schema_app)
jobs.register(app)
estimate.register(app)
report.register(app)


class _Settings:
    """What the options before the command say."""

    debug = False


def _version(wanted: bool) -> None:
    if wanted:
        from transformer import __version__

        typer.echo(f"dynamo2ch {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="DYNAMO2CH_DEBUG", help="Show tracebacks, log every insert.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    ca_cert: options.CaCert = None,
    client_cert: options.ClientCert = None,
    client_key: options.ClientKey = None,
    ask_password: options.AskPassword = False,
) -> None:
    _Settings.debug = debug
    context.default_map = config.load(context.command)
    # The file may say so too, unless the command line or the environment do.
    _Settings.debug = debug or os.environ.get("DYNAMO2CH_DEBUG", "").lower() in ("1", "true")
    options.warn_of_passwords(sys.argv)
    options.give_to_settings(ca_cert, client_cert, client_key, ask_password=ask_password)


@app.command(epilog=_EXIT_CODES)
def snapshot(
    export: options.Export,
    schema: options.Schema = None,
    to: options.To = None,
    table: options.Table = None,
    workers: options.Workers = None,
    memory: options.Memory = None,
    max_rejects: options.MaxRejects = 0,
    stop_after_rejects: Annotated[
        int | None, typer.Option("--stop-after-rejects", metavar="N", help="End early once N items are rejected.")
    ] = None,
    rejects: options.Rejects = None,
    restart: options.Restart = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Load into a table beside, and exchange the two when all of it is in.")
    ] = False,
    tombstone_missing: Annotated[
        bool,
        typer.Option("--tombstone-missing", help="Load over the table, and mark what the export lacks as deleted."),
    ] = False,
    shard: options.Shard = None,
    ledger: options.Ledger = None,
    chunk_items: Annotated[
        int | None,
        typer.Option(
            "--chunk-items", metavar="N", help="Most items of one insert. Default: by the schema, 250000 at most."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and judge everything, touch no destination.")
    ] = False,
    engine: Annotated[
        Literal["client", "server"],
        typer.Option("--engine", help="Who decodes: this program, or the server with generated SQL (slower)."),
    ] = "client",
    s3_role: Annotated[
        str, typer.Option("--s3-role", metavar="ARN", help="Role with which the server engine reads from S3.")
    ] = "",
    report_file: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML page about the run as well.")
    ] = None,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Load a full export into a ClickHouse table; goes on where an earlier run has ended."""
    from transformer.cli.load import load_on_server, run_load
    from transformer.job.budget import parse_size
    from transformer.job.infer import prepare_schema
    from transformer.job.request import SnapshotRequest

    storage = options.storage_options(storage_option)
    schema, warnings = prepare_schema(export, schema, table=table, storage_options=storage)
    request = SnapshotRequest(
        export=export,
        schema=schema,
        destination=to,
        table=table,
        workers=workers,
        memory=None if memory is None else parse_size(memory),
        max_rejects=max_rejects,
        stop_after_rejects=stop_after_rejects,
        rejects=rejects,
        restart=restart,
        shard=options.shard(shard),
        ledger=ledger,
        chunk_items=chunk_items,
        dry_run=dry_run,
        storage_options=storage,
    )
    if replace and tombstone_missing:
        raise UsageError("--replace and --tombstone-missing exclude each other")
    if engine == "server":
        if replace or tombstone_missing:
            raise UsageError("--replace and --tombstone-missing need --engine client")
        for warning in warnings:
            typer.echo(f"warning: {warning}", err=True)
        load_on_server(request, role=s3_role, as_json=as_json)
    run_load(
        request,
        how="replace" if replace else "tombstone_missing" if tombstone_missing else "load",
        report_file=report_file,
        debug=_Settings.debug,
        as_json=as_json,
        warnings=warnings,
    )


app.command(epilog=_EXIT_CODES)(increment)
app.command(epilog=_EXIT_CODES)(aws.sync)
app.command(epilog=_EXIT_CODES)(aws.repair)
app.command()(aws.iam)
app.add_typer(aws.stream_app, name="stream")
app.add_typer(aws.export_app, name="export")


@schema_app.command("check")
def schema_check(file: options.SchemaArgument, as_json: options.Json = False) -> None:
    """Validate a schema file."""
    from transformer.decode.defaults import Defaults
    from transformer.decode.plan import Plan
    from transformer.schema.ddl import fingerprint
    from transformer.schema.file import load_schema

    table = load_schema(file)
    try:
        Plan(table)
        Defaults(table)
    except SchemaError as error:
        raise SchemaError(f"{file}: {error.message}", remedy=error.remedy) from error
    record = {
        "file": str(file),
        "table": table.name,
        "key": list(table.key),
        "columns": len(table.columns),
        "fingerprint": fingerprint(table),
    }
    show(
        record,
        lambda: (
            f"{file}: good. Table {table.name}, key {', '.join(table.key)}, {len(table.columns)} columns, "
            f"fingerprint {record['fingerprint']}"
        ),
        as_json=as_json,
    )


@schema_app.command("ddl")
def schema_ddl(file: options.SchemaArgument, as_json: options.Json = False) -> None:
    """Print the CREATE TABLE of a schema file."""
    from transformer.schema.ddl import create_table
    from transformer.schema.file import load_schema

    table = load_schema(file)
    sql = create_table(table)
    show({"file": str(file), "table": table.name, "sql": sql}, lambda: sql, as_json=as_json)


app.command("warm", hidden=True)(warm)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement; a FORMAT clause is honoured.")],
    to: options.To = None,
) -> None:
    """Run SQL at a destination and print the result."""
    from transformer.cli.render import show_bytes
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination

    with contextlib.closing(open_destination(to or DEFAULT_DESTINATION)) as destination:
        show_bytes(destination.query(sql))


@app.command()
def synth(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the export into.")],
    shape: Annotated[
        str, typer.Option("--shape", metavar="S", help="users, orders, all-types, wide, single-table or hostile.")
    ] = "users",
    items: Annotated[int, typer.Option("--items", metavar="N", help="How many items.")] = 1000,
    files: Annotated[int, typer.Option("--files", metavar="K", help="How many data files.")] = 4,
    seed: Annotated[int, typer.Option("--seed", metavar="X", help="The same seed gives the same bytes.")] = 1,
    ratio: Annotated[
        float | None, typer.Option("--ratio", metavar="R", help="How well the data compresses, 4 to 15.")
    ] = None,
    changes: Annotated[
        int | None,
        typer.Option("--changes", metavar="N", help="Make N writes to the items, and incremental exports of them too."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write a full export as AWS writes it, made of seeded random items."""
    from transformer.synth.export import write_export

    if changes is not None:
        synth_history.write(
            directory, shape=shape, items=items, files=files, seed=seed, changes=changes, as_json=as_json
        )
        return
    export = write_export(directory, shape=shape, items=items, files=files, seed=seed, ratio=ratio)
    record = {
        "export": str(export.path),
        "shape": export.shape,
        "table": export.table,
        "items": export.item_count,
        "files": len(export.files),
        "json_bytes": export.json_bytes,
        "gz_bytes": export.gz_bytes,
        "ratio": round(export.ratio, 2),
    }
    show(
        record,
        lambda: (
            f"{export.path}: {export.item_count:,} items of table {export.table} in {len(export.files)} files, "
            f"{export.json_bytes:,} bytes of JSON in {export.gz_bytes:,} bytes of gzip (ratio {export.ratio:.1f})\n"
            f"next: {shlex.join(['dynamo2ch', 'snapshot', str(export.path)])}"
        ),
        as_json=as_json,
    )


def main() -> None:
    """Entry point: run the command and turn every exception into a message and an exit code."""
    try:
        app(prog_name="dynamo2ch")
    except Dynamo2chError as error:
        show_error(error, debug=_Settings.debug)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read the help has seen enough of it
        forget_stdout()
        sys.exit(ExitCode.DONE)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full and error.filename is None:
            forget_stdout()
        show_error(_no_space(error) if full else error, debug=_Settings.debug)
        sys.exit(ExitCode.RETRY if full else ExitCode.BUG)
    except Exception as error:
        show_error(error, debug=_Settings.debug)
        sys.exit(ExitCode.BUG)


def _no_space(error: OSError) -> RetryError:
    """The error of ours for a disk that is full."""
    where = f" for {error.filename}" if error.filename else ""
    return RetryError(
        f"there is no space left{where}: {error.strerror}", remedy="Make room, then run the same command again."
    )
