"""What a design costs an insert, measured on the embedded engine: every insert plans the views anew."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.clickpipe.body import pipe
from transformer.load.destination import open_destination

if TYPE_CHECKING:
    from transformer.clickpipe.spec import PipeSpec


@dataclass(frozen=True, slots=True)
class Cost:
    """sql_bytes: size of the longest statement. seconds: one insert of one record, the best of `inserts`."""

    sql_bytes: int
    seconds: float
    inserts: int


def measure(spec: PipeSpec, *, inserts: int = 3) -> Cost:
    """Create everything in an embedded database of its own, insert one record several times, and leave nothing behind.

    Raises UsageError when the package chdb is missing.
    """
    spec = replace(spec, table=replace(spec.table, cluster="", engine="ReplacingMergeTree"), database="default")
    made = pipe(spec)
    table = made.body["destination"]["table"]
    columns = ", ".join(f"`{column['name']}`" for column in made.body["destination"]["columns"][:1])
    best = float("inf")
    with tempfile.TemporaryDirectory(prefix="dynamo2ch-") as folder:
        destination = open_destination(f"chdb://{Path(folder) / 'chdb'}")
        try:
            for statement in made.statements:
                destination.command(statement.sql)
            for _ in range(inserts):
                begin = time.perf_counter()
                destination.command(f"INSERT INTO `{table}` ({columns}) VALUES ('{{}}')")  # noqa: S608 - names of ours
                best = min(best, time.perf_counter() - begin)
        finally:
            destination.close()
    return Cost(max(len(statement.sql) for statement in made.statements), best, inserts)
