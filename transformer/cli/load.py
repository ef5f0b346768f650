"""Run a load and show what became of it: what `snapshot` and `increment` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import typer

from transformer.cli import report
from transformer.cli.render import show, show_error
from transformer.errors import Dynamo2chError, ExitCode, RetryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import NoReturn

    from transformer.job.request import SnapshotRequest


def run_load(
    request: SnapshotRequest,
    *,
    how: Literal["load", "replace", "tombstone_missing"] = "load",
    report_file: Path | None = None,
    debug: bool,
    as_json: bool,
    warnings: Sequence[str] = (),
) -> NoReturn:
    """Do what is asked, with bars or log lines, and leave with the exit code of the result.

    how: a load as such, or one of those of `job.replace`. report_file: where a page about the run is written, if any.
    warnings: what came up before the run, for its result.
    """
    from transformer.cli.progress import bars_wanted, observer
    from transformer.cli.signals import handled
    from transformer.cli.summary import summarise
    from transformer.job.snapshot import run
    from transformer.job.stop import StopSwitch

    stop = StopSwitch()
    bars = bars_wanted()
    with handled(stop, as_log=not bars), observer(bars=bars, debug=debug) as observe:
        if how == "load":
            result = run(request, observe=observe, stop=stop)
        else:
            from transformer.job import replace

            way = replace.replace if how == "replace" else replace.tombstone_missing
            result = way(request, observe=observe, stop=stop)
    result.warnings.extend(warnings)
    unwritten: Dynamo2chError | None = None
    if as_json or result.files:
        try:
            show(result.to_dict(), lambda: summarise(result, to=request.destination), as_json=as_json)
        except RetryError as error:  # what the run has done must be told all the same
            unwritten = error
    if result.error is not None:
        show_error(result.error, debug=debug, where=result.error_file)
    elif result.exit_code == ExitCode.INPUT:
        show_error(result.too_many_rejects(), debug=False)
    if report_file is not None:
        try:
            report.write(result.to_dict(), report_file)
        except UsageError as error:  # the run counts for more than what is told about it
            unwritten = unwritten or error
    if unwritten is not None:
        show_error(unwritten, debug=debug)
    raise typer.Exit(result.exit_code or (ExitCode.DONE if unwritten is None else unwritten.exit_code))


def load_on_server(request: SnapshotRequest, *, role: str, as_json: bool) -> NoReturn:
    """Let the destination load the export itself, and leave with the exit code of the result."""
    from transformer.job.server_engine import load_on_server as run

    result = run(request, role=role)
    show(
        result.to_dict(),
        lambda: (
            f"{result.status}: {result.rows_inserted:,} rows of {result.items_read:,} items in {result.files_loaded} "
            f"files into {result.table} at {result.destination}, {result.items_rejected:,} dead letters in "
            f"{result.rejects}, {result.seconds:.1f} s"
        ),
        as_json=as_json,
    )
    raise typer.Exit(result.exit_code)
