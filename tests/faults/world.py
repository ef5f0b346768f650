"""One export, loaded again and again into a fresh database, interrupted each time, and what must be true afterwards."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from faults.cue import NONE, Cue, cued
from job.twin import bad_user, user, users_table, write_export

from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult
from transformer.job.snapshot import run
from transformer.load.destination import open_destination
from transformer.load.ledger import Totals
from transformer.schema.ddl import create_table
from transformer.verify.result import Finding
from transformer.verify.run import VerifyRequest
from transformer.verify.run import run as verify

DRIVER = Path(__file__).with_name("driver.py")
UNMERGED = ", max_bytes_to_merge_at_min_space_in_pool = 1, max_bytes_to_merge_at_max_space_in_pool = 1"
"""Settings of a table that is never merged, whichever process has it open: a merge would hide what is doubled."""

SCHEMA = """\
table: users
key: [id]
columns:
  - {name: id, type: String}
  - {name: first_name, type: Nullable(String)}
  - {name: age, type: Nullable(Int16)}
"""


@dataclass(frozen=True)
class Fault:
    """A kind of fault, to be added to a list FAULTS in a module `faults/kinds*.py`.

    name: as the report has it. interrupt: begins a load of `round_` and sees that it is interrupted (or disturbed); it
    returns the exit code of that load, or None for a process that was killed. What comes after (looking, resuming,
    verifying) is the same for all. interrupts: whether the load is cut short; else it has to come through by itself.
    """

    name: str
    interrupt: Callable[[Round], int | None]
    interrupts: bool = True


@dataclass
class World:
    """What all rounds have in common. calibrated: seconds of an undisturbed load, from its first line to its last."""

    folder: Path
    files: int
    items_per_file: int
    rejects_per_file: int
    chunk_items: int
    export: Path = field(init=False)
    schema: Path = field(init=False)
    calibrated: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        assert self.items_per_file >= 4 * self.chunk_items
        self.schema = self.folder / "users.yaml"
        self.schema.write_text(SCHEMA)
        self.export = write_export(self.folder, [self._lines(number) for number in range(self.files)])

    def _lines(self, file: int) -> list[bytes]:
        begin = file * self.items_per_file
        every = self.items_per_file // max(1, self.rejects_per_file)
        return [
            bad_user(n) if self.rejects_per_file and (n - begin) % every == 7 else user(n)
            for n in range(begin, begin + self.items_per_file)
        ]

    @property
    def items(self) -> int:
        return self.files * self.items_per_file

    @property
    def rejects(self) -> int:
        return self.files * self.rejects_per_file

    @property
    def rows(self) -> int:
        return self.items - self.rejects


@dataclass
class Seen:
    """What was there between the interruption and the resumption."""

    rows: int
    finished: int
    rows_of_finished: int

    @property
    def chunks_of_unfinished_files(self) -> bool:
        """Whether chunks were committed of files that the ledger does not call finished."""
        return self.rows > self.rows_of_finished


class Round:
    """One load into a database of its own."""

    def __init__(self, world: World, engine: Path, number: int, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.url = f"chdb://{engine}?database=round_{number}"
        self.rejects = world.folder / f"rejects_{number}"
        self.chunks = world.files * -(-world.items_per_file // world.chunk_items)
        self.database = f"round_{number}"
        self.engine = engine
        with contextlib.closing(open_destination(self.url)) as destination:
            destination.query(create_table(users_table()) + UNMERGED)

    # What kinds of faults use.

    def command(self, to: str = "") -> list[str]:
        """The arguments of the load, the same in every run; `to`: another way to the same database."""
        world = self.world
        command = ["snapshot", world.export, "--schema", world.schema, "--to", to or self.url]
        command += ["--rejects", self.rejects]
        command += ["--chunk-items", world.chunk_items, "--max-rejects", world.rejects, "--workers", 2, "--json"]
        return [str(part) for part in command]

    @contextlib.contextmanager
    def process(self, cue: Cue = NONE, to: str = "", **environment: str) -> Iterator[subprocess.Popen[str]]:
        """The load as a process of its own, from the moment at which it begins with the first file.

        to: as in `command`. environment: further variables.
        """
        environ = os.environ | {"FAULT_CUE": cue.to_json(), "DYNAMO2CH_LOG_FORMAT": "json"} | environment
        environ.setdefault("DYNAMO2CH_RETRY_SECONDS", "1")
        with subprocess.Popen(
            [sys.executable, str(DRIVER), *self.command(to)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        ) as process:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if '"run started"' in line:
                    break
            else:
                raise AssertionError(f"the load ended before it began: {''.join(said)}")
            drain = threading.Thread(target=process.stderr.read, daemon=True)
            drain.start()
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
                drain.join()

    def wait_a_while(self) -> None:
        """Let a random part of the time of a load go by."""
        time.sleep(self.chance.uniform(0, self.world.calibrated))

    def some_insert(self) -> int:
        """The number of one of the inserts."""
        return self.chance.randint(1, self.chunks)

    def load(self, cue: Cue = NONE, *, retry_seconds: float = 0) -> SnapshotResult:
        """The same load in this process."""
        with cued(cue):
            return self.plain_load(retry_seconds=retry_seconds)

    def plain_load(self, *, retry_seconds: float = 0) -> SnapshotResult:
        """The same without a cue, for use inside of one or where several run at once."""
        world = self.world
        request = SnapshotRequest(
            export=str(world.export),
            schema=world.schema,
            destination=self.url,
            rejects=str(self.rejects),
            chunk_items=world.chunk_items,
            max_rejects=world.rejects,
            workers=2,
            retry_seconds=retry_seconds,
        )
        return run(request)

    # What the test uses.

    def look(self) -> Seen:
        """What the interrupted load has left."""
        with contextlib.closing(open_destination(self.url)) as destination:
            ledger = destination.ledger(users_table())
            finished = [file for job in ledger.jobs("users") for file in ledger.files(job.job).values()]
            rows = int(destination.query("SELECT count() FROM users FORMAT TSV"))
        return Seen(rows, len(finished), Totals.of(finished).rows)

    def resume(self, *, as_process: bool) -> None:
        """Run the same command again, to the end."""
        if as_process:
            with self.process() as process:
                assert process.wait(timeout=600) == 0
            return
        result = self.load()
        assert result.error is None, result.error
        assert (result.exit_code, result.job_complete) == (0, True)

    def raw_rows(self) -> int:
        """Rows that are stored, whether they stand once or twice."""
        with contextlib.closing(open_destination(self.url)) as destination:
            return int(destination.query("SELECT count() FROM users FORMAT TSV"))

    def check(self) -> None:
        """Nothing is lost, nothing is doubled: neither rows nor rejects."""
        world = self.world
        with contextlib.closing(open_destination(self.url)) as destination:
            counts = destination.query(
                "SELECT (SELECT count() FROM users), (SELECT count() FROM users FINAL), "
                "(SELECT uniqExact(id) FROM users) FORMAT TSV"
            )
        assert counts.decode().split() == [str(world.rows)] * 3, counts
        kept = [
            (record["file"], record["line"])
            for path in self.rejects.rglob("*.rejects.jsonl.gz")
            for record in map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
        ]
        assert len(kept) == len(set(kept)) == world.rejects
        result = verify(
            VerifyRequest(export=str(world.export), schema=world.schema, destination=self.url, full=True, workers=2)
        )
        assert result.error is None, result.error
        assert all(check.finding is Finding.PROVED for check in result.checks), result.checks
        assert (result.rows, result.rejects_open) == (world.rows, world.rejects)

    def clear(self) -> None:
        """Make room for the next round."""
        with contextlib.closing(open_destination(self.url)) as destination:
            destination.query(f"DROP DATABASE {self.database} SYNC")
        shutil.rmtree(self.rejects, ignore_errors=True)


def calibrate(world: World, engine: Path) -> None:
    """Measure an undisturbed load, and see that it passes."""
    round_ = Round(world, engine, 0, random.Random(0))
    with round_.process() as process:
        begin = time.monotonic()
        assert process.wait(timeout=600) == 0
        # The time of the end of the process, interpreter and engine included, is not one of loading.
        world.calibrated = max(0.05, 0.8 * (time.monotonic() - begin))
    round_.check()
    round_.clear()
