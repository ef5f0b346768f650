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
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from faults.kinds import DIES_AFTER_COMMIT, KILL
from faults.rounds import doubled_without_tokens, play
from faults.world import Fault, World, calibrate

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "100"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
EACH = 3
"""Rounds of every kind of fault; the rest of the rounds are kill -9."""


def kinds() -> list[Fault]:
    """Every kind, from every module `kinds*.py` beside this one."""
    modules = sorted(path.stem for path in Path(__file__).parent.glob("kinds*.py"))
    return [fault for name in modules for fault in importlib.import_module(f"faults.{name}").FAULTS]


@pytest.mark.timeout(580)
@pytest.mark.parametrize("what", [KILL.name, DIES_AFTER_COMMIT.name, "without tokens"])
def test_a_small_interrupted_load_comes_through(tmp_path: Path, what: str) -> None:
    """The machinery of the long test below, on a load of a second; without tokens it has to be doubled.

    In a process of its own: the engine is handed to and fro between it and the load, so no other test may hold it.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "faults.rounds", str(tmp_path), what, str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing lost, nothing doubled\n"


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_interrupted_loads(tmp_path: Path) -> None:
    engine = tmp_path / "engine" / "chdb"
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
