"""Does a file in S3 load as fast as one on a disk? One worker, `null:`, from both, in turns.

The store is `bench.store`: 30 ms to the first byte, 90 MB/s for each request. What stands between the two is how many
ranges are in flight, and what s3fs and its event loop take of the reader's time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import rounds
from bench.inputs import Input
from bench.rounds import Case
from bench.stages import as_arguments
from bench.store import LATENCY, RATE, Store
from bench.worker import Worker
from transformer.job.request import SnapshotRequest
from transformer.job.result import Status
from transformer.job.snapshot import run


class Loader:
    """Loads one input into `null:`."""

    def __init__(self, source: dict[str, Any]) -> None:
        self._input = Input(**source)

    def load(self, url: str, options: dict[str, Any]) -> dict[str, float]:
        """From this copy of it. Raises the error that the run ended with."""
        request = SnapshotRequest(
            export=url, schema=self._input.table, destination="null:", workers=1, storage_options=options
        )
        result = run(request)
        result.raise_for_status()
        if result.status is not Status.COMPLETE or result.items_read != self._input.items:
            raise RuntimeError(f"{result.items_read} of {self._input.items} items, {result.status}")
        return {"seconds": result.seconds}


def measure(source: Input, count: int) -> dict[str, Any]:
    """Wall seconds from both, medians of `count` rounds, and the speed from S3 in units of that from the disk."""
    folder = Path(source.folder)
    root = folder.parents[1]  # above AWSDynamoDB/<export>
    with Store(root.parent) as store, Worker("bench.fetch:Loader", {"source": as_arguments(source)}) as worker:
        cases = {
            "local": Case(worker, "load", {"url": str(folder), "options": {}}),
            "s3": Case(
                worker, "load", {"url": f"s3://{root.name}/{folder.relative_to(root)}", "options": store.options}
            ),
        }
        timed = rounds.interleave(cases, count, lambda _: None)
    seconds = {name: rounds.middle(timed[name], "seconds") for name in cases}
    return {
        "fetch_local_s": round(seconds["local"], 4),
        "fetch_s3_s": round(seconds["s3"], 4),
        "fetch_ratio": round(seconds["local"] / seconds["s3"], 3),
        "fetch_gz_mb_s": round(source.gz_bytes / 1e6 / seconds["s3"], 1),
        "fetch_latency_s": LATENCY,
        "fetch_rate": RATE,
    }
