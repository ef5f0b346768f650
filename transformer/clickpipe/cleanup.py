"""The guide's step 5: drop what only the snapshot needed, once it is proven that it is not needed any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformer.errors import ConflictError
from transformer.schema.expression import quote_identifier, quote_string
from transformer.schema.landing import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.clickpipe.api import CloudApi
    from transformer.load.destination import Destination
    from transformer.schema.table import Table

ERROR_SUFFIX = "_clickpipes_error"
"""Behind the name of a pipe's table: where ClickPipes keeps what it could not insert, for seven days."""


@dataclass(slots=True)
class CleanUp:
    """What is to be dropped, in order, and why it may not be (sentences; none: it may)."""

    drops: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def plan_clean_up(table: Table, destination: Destination, database: str, api: CloudApi | None = None) -> CleanUp:
    """What the snapshot has left behind, and whether it is still needed. Changes nothing.

    Views go before the tables that they read. Never among it: the destination, the dead letters, what the stream uses.
    """
    names = Names.of_snapshot(table.name)
    errors = names.landing + ERROR_SUFFIX
    ordered = [names.decode, names.rows, names.to_dead, names.stage, names.landing, errors]
    there = existing(destination, database, [*ordered, table.name])
    plan = CleanUp([name for name in ordered if name in there])
    if not plan.drops:
        return plan
    if table.name not in there:
        plan.reasons.append(f"the destination {table.name} is not there, so nothing was loaded into it")
    elif count(destination, database, table.name) == 0:
        plan.reasons.append(f"the destination {table.name} is empty")
    if errors in there and (failed := count(destination, database, errors)):
        plan.reasons.append(f"{errors} holds {failed:,} items that were not loaded")
    if api is not None:
        plan.reasons += [
            f"pipe {pipe['name']} is {pipe.get('state')}, not Completed"
            for pipe in api.pipes()
            if (pipe.get("destination") or {}).get("table") == names.landing and pipe.get("state") != "Completed"
        ]
    return plan


def clean_up(plan: CleanUp, destination: Destination, database: str) -> None:
    """Drop what a plan names. Raises ConflictError when it may not be dropped."""
    if plan.reasons:
        raise ConflictError(
            "the snapshot's tables are still needed:" + "".join(f"\n  - {reason}" for reason in plan.reasons),
            remedy="Load what is missing, then run this command again.",
        )
    for name in plan.drops:
        destination.command(f"DROP TABLE IF EXISTS {quote_identifier(database)}.{quote_identifier(name)} SYNC")


def existing(destination: Destination, database: str, names: Sequence[str]) -> set[str]:
    """Those of the names that are tables or views of a database."""
    listed = ", ".join(map(quote_string, names))
    sql = f"SELECT hex(name) FROM system.tables WHERE database = {quote_string(database)} AND name IN ({listed})"  # noqa: S608
    return {bytes.fromhex(line).decode() for line in destination.query(f"{sql} FORMAT TSV").decode().split()}


def count(destination: Destination, database: str, name: str) -> int:
    """The rows of a table."""
    sql = f"SELECT count() FROM {quote_identifier(database)}.{quote_identifier(name)} FORMAT TSV"  # noqa: S608 - quoted
    return int(destination.query(sql))
