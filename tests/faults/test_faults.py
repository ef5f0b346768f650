"""Loads that are interrupted in every way, then resumed: nothing is lost, nothing is doubled.

Loss is measured as `FINAL` against the export (`verify --full`), doubling as raw rows of a table that is never merged
and whose inserts are sent with `optimize_on_insert=0`. That doubling would be seen is tested too: with tokens switched
off it has to be there.

FAULT_ROUNDS says how many interrupted loads `make test-faults` makes (default 100), FAULT_SEED which.
"""

from __future__ import annotations

import importlib
import os
import random
from collections import Counter
from pathlib import Path

import pytest
from faults.cue import Cue
from faults.kinds import DIES_AFTER_COMMIT, KILL
from faults.world import Fault, Round, World, calibrate

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "100"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
EACH = 3
"""Rounds of every kind of fault; the rest of the rounds are kill -9."""


def kinds() -> list[Fault]:
    """Every kind, from every module `kinds*.py` beside this one."""
    modules = sorted(path.stem for path in Path(__file__).parent.glob("kinds*.py"))
    return [fault for name in modules for fault in importlib.import_module(f"faults.{name}").FAULTS]


def engine_folder(chdb_url: str) -> Path:
    return Path(chdb_url.removeprefix("chdb://"))


def play(world: World, engine: Path, fault: Fault, number: int, chance: random.Random) -> tuple[bool, bool]:
    """One round. Whether the load was interrupted, and whether it left chunks of an unfinished file."""
    round_ = Round(world, engine, number, chance)
    code = fault.interrupt(round_)
    seen = round_.look()
    assert seen.rows <= world.rows
    assert code != 0 or seen.rows == world.rows
    interrupted = seen.finished < world.files
    round_.resume(as_process=number % 5 == 0)
    round_.check()
    round_.clear()
    return interrupted, seen.chunks_of_unfinished_files


def doubled_without_tokens(world: World, engine: Path, number: int, chance: random.Random) -> bool:
    """Whether a load without tokens, interrupted after a commit and resumed, has doubled rows."""
    round_ = Round(world, engine, number, chance)
    cue = Cue(at=round_.chance.randint(1, round_.chunks // 2), do="die", after=True, tokens=False)
    with round_.process(cue) as process:
        assert process.wait(timeout=600) == 137
    before = round_.look()
    result = round_.load(Cue(tokens=False))
    assert result.exit_code == 0
    raw = round_.raw_rows()
    assert raw - world.rows == before.rows - before.rows_of_finished
    round_.clear()
    return raw > world.rows


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", [KILL, DIES_AFTER_COMMIT], ids=lambda fault: fault.name)
def test_a_small_interrupted_load_comes_through(tmp_path: Path, chdb_url: str, fault: Fault) -> None:
    """The machinery of the long test below, on a load of a second."""
    world = World(tmp_path, files=8, items_per_file=48, rejects_per_file=1, chunk_items=12)
    world.calibrated = 0.3
    play(world, engine_folder(chdb_url), fault, 1, random.Random(SEED))


@pytest.mark.timeout(300)
def test_without_tokens_the_small_load_is_doubled(tmp_path: Path, chdb_url: str) -> None:
    world = World(tmp_path, files=8, items_per_file=48, rejects_per_file=1, chunk_items=12)
    chance = random.Random(SEED)
    assert any(doubled_without_tokens(world, engine_folder(chdb_url), 10 + n, chance) for n in range(3))


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_interrupted_loads(tmp_path: Path, chdb_url: str) -> None:
    engine = engine_folder(chdb_url)
    chance = random.Random(SEED)
    world = World(tmp_path, files=8, items_per_file=25_000, rejects_per_file=5, chunk_items=5_000)
    calibrate(world, engine)
    print(f"\n{world.items:,} items in {world.files} files, a load takes about {world.calibrated:.1f} s", flush=True)
    faults = kinds()
    planned = [fault for fault in faults for _ in range(EACH)]
    chance.shuffle(planned)
    rounds: Counter[str] = Counter()
    interrupted: Counter[str] = Counter()
    unfinished = number = 0
    while planned or sum(interrupted.values()) < ROUNDS:
        fault = planned.pop() if planned else KILL
        number += 1
        assert number <= 3 * ROUNDS + len(faults) * EACH, "loads end before they are interrupted"
        cut, left = play(world, engine, fault, number, chance)
        rounds[fault.name] += 1
        interrupted[fault.name] += cut
        unfinished += cut and left
        if number % 10 == 0:
            print(f"{number} rounds, {sum(interrupted.values())} interrupted", flush=True)
    for fault in faults:
        if fault.interrupts:
            assert interrupted[fault.name] or rounds[fault.name] < EACH, f"{fault.name} has interrupted nothing"
    doubled = [doubled_without_tokens(world, engine, 10_000 + n, chance) for n in range(EACH)]
    total = sum(interrupted.values())
    for name, count in rounds.items():
        print(f"  {name}: {count} rounds, {interrupted[name]} interrupted")
    print(f"{unfinished} of {total} interrupted loads had left committed chunks of an unfinished file")
    print(f"with tokens off {sum(doubled)} of {len(doubled)} loads were doubled, as they must be")
    print(
        f"nothing lost, nothing doubled: {number} rounds of {len(rounds)} kinds, {total} interrupted loads, each "
        f"{world.items:,} items = {world.rows:,} raw rows + {world.rejects} rejects",
        flush=True,
    )
    assert all(doubled)
    assert unfinished * 2 >= total
