"""Rounds: a load that is interrupted, what it has left, the same load resumed, and the proof.

As a program it plays one small round: `python -m faults.rounds FOLDER WHAT SEED`, with the name of a kind of fault or
`without tokens`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from faults.cue import Cue
from faults.kinds import FAULTS
from faults.world import Fault, Round, World


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


def main(folder: Path, what: str, seed: int) -> None:
    """Play one small round in `folder`."""
    world = World(folder, files=8, items_per_file=48, rejects_per_file=1, chunk_items=12)
    world.calibrated = 0.3
    engine = folder / "engine" / "chdb"
    chance = random.Random(seed)
    if what == "without tokens":
        assert any(doubled_without_tokens(world, engine, number, chance) for number in range(3))
    else:
        (fault,) = [fault for fault in FAULTS if fault.name == what]
        play(world, engine, fault, 1, chance)
    print("nothing lost, nothing doubled")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
