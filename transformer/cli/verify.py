"""`dynamo2ch verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show, show_error
from transformer.errors import MismatchError

if TYPE_CHECKING:
    from transformer.verify.result import VerifyResult

_COSTS = (
    "Costs. Without options: the manifests, the ledger, and one read of the key columns of the table; no data file is "
    "opened. --sample N: parts of at most 16 data files, and N rows. --full: as much as the load itself, and the "
    "table's size on disk while it runs."
)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("verify", epilog=_COSTS)(verify)


def verify(
    export: options.Export,
    schema: options.Schema = None,
    to: options.To = None,
    table: options.Table = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", help="Decode N items slowly and compare every column of their rows.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", metavar="X", help="Which items --sample draws.")] = 1,
    full: Annotated[
        bool, typer.Option("--full", help="Load the export again beside the table and compare every row.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Threads that load for --full.")] = 1,
    ledger: options.Ledger = None,
    as_json: options.Json = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Prove that a table holds what an export holds; exit 4 with the first differences when it does not."""
    from transformer.verify.run import VerifyRequest, run

    request = VerifyRequest(
        export=export,
        schema=schema,
        destination=to,
        table=table,
        ledger=ledger,
        sample=sample,
        seed=seed,
        full=full,
        workers=workers,
        storage_options=options.storage_options(storage_option),
    )
    result = run(request)
    if as_json or result.checks:
        show(result.to_dict(), lambda: _text(result), as_json=as_json)
    if result.error is not None:
        show_error(result.error, debug=False)
    elif result.exit_code:
        error = MismatchError(
            f"table {result.table} does not hold what {result.export} holds",
            remedy="The differences are above; `dynamo2ch verify --full` names rows. Load again with `dynamo2ch "
            "snapshot --restart`, and verify once more.",
        )
        show_error(error, debug=False)
    raise typer.Exit(result.exit_code)


def _text(result: VerifyResult) -> str:
    """A few lines for people."""
    lines = [f"{result.finding.value}: {result.export} in table {result.table} in {result.destination}"]
    for check in result.checks:
        lines.append(f"  {check.name:<9} {check.finding.value}: {check.detail}")
        lines += [f"            {difference}" for difference in check.differences]
    lines.append(f"  rows      {result.rows:,}; rejects not loaded {result.rejects_open:,}")
    lines += [f"  warning   {warning}" for warning in result.warnings]
    lines.append(f"  time      {result.seconds:.1f} s")
    return "\n".join(lines)
