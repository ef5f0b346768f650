"""The version that rows of a full export get."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.schema.table import VersionFrom

if TYPE_CHECKING:
    from transformer.schema.table import Table
    from transformer.source.export import Export

GREY_MINUTE = timedelta(seconds=60)
"""AWS guarantees what an export holds only to the minute, so rows versioned by its time stay this far below it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def snapshot_version(table: Table, export: Export) -> int:
    """The version that rows of this export get, in microseconds: 0, or the export's time less the grey minute.

    Raises UsageError when the schema wants the export's time and the export has none.
    """
    if table.version_from is VersionFrom.ZERO:
        return 0
    if export.export_time is None:
        raise UsageError(
            f"{export.shown} has no manifest, so its time is unknown, and the schema says `version: from: export_time`",
            remedy="Load the export with its manifests, or write `from: zero`.",
        )
    return (export.export_time - GREY_MINUTE - _EPOCH) // timedelta(microseconds=1)
