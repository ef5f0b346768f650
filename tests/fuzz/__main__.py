"""`python -m fuzz`: rounds until a number of cases is reached, in processes that may crash without ending the run."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from fuzz.run import ROUND, replay, run_round

_ROUNDS = 25  # of one process: many, because importing the kernels takes longer than a round; few, to see progress


def main() -> None:
    """Run what the arguments say; exit 1 when the engines differ somewhere."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    parser.add_argument("--folder", type=Path, default=Path(".dynamo2ch/fuzz"), help="where failures are saved")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", type=Path, help="run a saved failure again")
    parser.add_argument("--rounds", type=int, nargs=2, help=argparse.SUPPRESS)  # first and one after last: a child
    given = parser.parse_args()
    if given.replay is not None:
        difference = replay(given.replay)
        print(difference or "both engines agree on these lines")
        sys.exit(bool(difference))
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.rounds is not None:
        sys.exit(_child(range(*given.rounds), given.folder))
    seed = random.SystemRandom().randrange(1 << 40) if given.seed is None else given.seed
    sys.exit(_parent(given.cases, seed, given.folder, given.processes))


def _child(seeds: range, folder: Path) -> int:
    for seed in seeds:
        tally, failure = run_round(seed, folder)
        if failure is not None:
            print(f"seed {seed}: {failure.seen}\nsaved in {failure.file}", flush=True)
            return 1
        print(f"{tally.cases} {tally.rows} {tally.rejects} {tally.features}", flush=True)
    return 0


def _parent(cases: int, seed: int, folder: Path, processes: int) -> int:
    rounds = -(-cases // ROUND)
    print(f"fuzz: {rounds * ROUND:,} cases on {rounds:,} tables, seed {seed}", flush=True)
    begun = time.monotonic()
    sums = [0, 0, 0, 0]
    waiting = list(range(seed, seed + rounds, _ROUNDS))
    running: dict[int, subprocess.Popen[str]] = {}
    failed = False
    while running or (waiting and not failed):
        while waiting and not failed and len(running) < processes:
            first = waiting.pop(0)
            running[first] = _start(first, min(first + _ROUNDS, seed + rounds), folder)
        first, child = next(iter(running.items()))
        output, _ = child.communicate()
        del running[first]
        for line in output.splitlines():
            numbers = line.split()
            if len(numbers) == 4 and all(number.isdigit() for number in numbers):
                sums = [total + int(number) for total, number in zip(sums, numbers, strict=True)]
            else:
                print(line)
        if child.returncode:
            failed = True
            _explain(child.returncode, folder)
        print(
            f"fuzz: {sums[0]:,} cases, {sums[1]:,} rows, {sums[2]:,} rejects, {sums[3]:,} kinds of verdict, "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )
    print("fuzz: the engines differ" if failed else "fuzz: kernels and twin agree on every line", flush=True)
    return int(failed)


def _start(first: int, end: int, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-X", "faulthandler", "-m", "fuzz", "--folder", str(folder)]
    return subprocess.Popen([*command, "--rounds", str(first), str(end)], stdout=subprocess.PIPE, text=True)


def _explain(code: int, folder: Path) -> None:
    if code != 1:
        print(f"a process ended with {code}; the lines it had in hand are in {folder}/in-hand-*.json")
    print(f"to run them again: PYTHONPATH=tests python -m fuzz --replay {folder}/<file>.json")


if __name__ == "__main__":
    main()
