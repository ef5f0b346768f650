"""`dynamo2ch replay` and `dynamo2ch status`: what became of jobs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show, show_error
from transformer.errors import ExitCode

if TYPE_CHECKING:
    from transformer.job.status import JobStatus


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("replay")(replay)
    app.command("status")(status)


def replay(
    rejects: Annotated[
        str, typer.Argument(metavar="REJECTS", help="Folder of rejects, as the load has named it.", show_default=False)
    ],
    schema: Annotated[Path, typer.Option("--schema", metavar="FILE", help="The mended schema file.")],
    to: options.To = None,
    table: options.Table = None,
    job: Annotated[
        str | None, typer.Option("--job", metavar="ID", help="The job that rejected them. Default: the folder's name.")
    ] = None,
    ledger: options.Ledger = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Threads. Default: one a core.")] = None,
    max_rejects: Annotated[
        int, typer.Option("--max-rejects", metavar="N", help="Items still rejected that count as success.")
    ] = 0,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Load the rejects of a load again, after the schema was mended. The table must fit the new schema."""
    from transformer.cli.progress import bars_wanted, observer
    from transformer.cli.signals import handled
    from transformer.cli.summary import summarise
    from transformer.job.replay import ReplayRequest, run
    from transformer.job.stop import StopSwitch

    request = ReplayRequest(
        rejects=rejects,
        schema=schema,
        destination=to,
        table=table,
        job=job,
        ledger=ledger,
        workers=workers,
        max_rejects=max_rejects,
        storage_options=options.storage_options(storage_option),
    )
    stop = StopSwitch()
    bars = bars_wanted()
    with handled(stop, as_log=not bars), observer(bars=bars, debug=False) as observe:
        result = run(request, observe=observe, stop=stop)
    if as_json or result.files:
        show(result.to_dict(), lambda: summarise(result, to=to), as_json=as_json)
    if result.error is not None:
        show_error(result.error, debug=False, where=result.error_file)
    elif result.exit_code == ExitCode.INPUT:
        show_error(result.too_many_rejects(), debug=False)
    raise typer.Exit(result.exit_code)


def status(
    schema: Annotated[
        Path | None, typer.Option("--schema", metavar="FILE", help="Schema file of the table.", show_default=False)
    ] = None,
    table: options.Table = None,
    to: options.To = None,
    ledger: options.Ledger = None,
    as_json: options.Json = False,
) -> None:
    """Show the jobs of a table: what is loaded, rejected, replayed, and what is left."""
    from transformer.job.status import statuses
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination

    with contextlib.closing(open_destination(to or DEFAULT_DESTINATION)) as destination:
        name, found = statuses(destination, schema=schema, table=table, ledger=ledger)
    record = {"table": name, "destination": destination.url, "jobs": [each.to_dict() for each in found]}
    show(record, lambda: _text(name, destination.url, found), as_json=as_json)


def _text(table: str, destination: str, found: list[JobStatus]) -> str:
    """A few lines for each job, the latest last."""
    if not found:
        return f"no job has loaded table {table} in {destination}"
    lines = [f"table {table} in {destination}"]
    for each in found:
        job, loaded = each.job, each.loaded
        begun = job.started_at[:19].replace("T", " ")
        of_items = "" if job.items is None else f" of {job.items:,}"
        again = f", {each.replayed:,} of them loaded by replays" if each.replayed else ""
        lines += [
            f"{job.kind.value} {job.job}: {job.state.value}, begun {begun} UTC, runs: {job.attempts}",
            f"  export    {job.export_id or job.url}",
            f"  files     {loaded.files:,} of {job.files:,}",
            f"  items     {loaded.items:,}{of_items}",
            f"  rows      {loaded.rows:,}",
            f"  rejects   {loaded.rejects:,}{again}",
        ]
        if loaded.rejects:
            lines.append(f"            in {job.rejects}")
    return "\n".join(lines)
