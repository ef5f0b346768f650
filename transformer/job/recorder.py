"""Finished files on their way to the ledger, in groups: one insert for each would cost more than a small file does."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from transformer.load.ledger import FinishedFile, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformer.job.result import FileOutcome
    from transformer.load.ledger import Job, Ledger

GROUP = 100
"""Files after which a group is written. 500 groups of one took 5.8 s."""

LONGEST = 2.0
"""Seconds after which a group is written however small it is. A crash has at most the chunks of so many seconds sent
again, all of them within the window in which ClickHouse remembers their tokens."""


class Recorder:
    """Collects the finished files of one run. For the thread that keeps the books."""

    def __init__(
        self,
        ledger: Ledger,
        job: Job,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: seconds, for when a group is due."""
        self._ledger = ledger
        self._job = job
        self._clock = clock
        self._waiting: list[FinishedFile] = []
        self._since = 0.0
        self._worker = f"{socket.gethostname()}/{os.getpid()}"

    def add(self, outcome: FileOutcome) -> None:
        """Take a file of which every line is accounted for."""
        if not self._waiting:
            self._since = self._clock()
        self._waiting.append(
            FinishedFile(
                job=self._job.job,
                file=outcome.name,
                attempt=self._job.attempts,
                items=outcome.items,
                rows=outcome.rows,
                rejects=outcome.rejects,
                chunks=outcome.chunks,
                gz_bytes=outcome.gz_bytes,
                json_bytes=outcome.json_bytes,
                md5=outcome.md5,
                keys=outcome.keys,
                rejects_by_code=dict(outcome.rejects_by_code),
                started_at=outcome.begun_at,
                finished_at=moment(datetime.now(UTC)),
                worker=self._worker,
            )
        )

    @property
    def due(self) -> bool:
        """Whether the group is large or old enough to be written."""
        return bool(self._waiting) and (len(self._waiting) >= GROUP or self._clock() - self._since >= LONGEST)

    def flush(self) -> None:
        """Write the group. Raises what the ledger raises; the group then waits for the next call."""
        if self._waiting:
            self._ledger.record(self._waiting)
            self._waiting = []
