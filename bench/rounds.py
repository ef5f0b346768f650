"""Cases in turn, round after round, so that a slow minute of the machine hits all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.worker import Timed, Worker


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is timed: a method of a worker's object, and how often it is called in each round.

    warm: whether it has run already, in a check, so that its first call may count.
    """

    worker: Worker
    method: str
    arguments: Mapping[str, Any]
    repeat: int = 1
    warm: bool = False


def interleave(cases: Mapping[str, Case], rounds: int, tell: Callable[[str], None]) -> dict[str, list[Timed]]:
    """What each call took, by the name of its case. Cases that are not warm are called once before."""
    for case in cases.values():
        if not case.warm:
            case.worker.call(case.method, **case.arguments)
    found: dict[str, list[Timed]] = {name: [] for name in cases}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for name, case in cases.items():
            for _ in range(case.repeat):
                found[name].append(case.worker.call(case.method, **case.arguments))
    return found


def cpu(timed: list[Timed]) -> float:
    """The median of the CPU seconds."""
    return median(one.cpu for one in timed)


def middle(timed: list[Timed], name: str) -> float:
    """The median of a figure that the calls returned by name."""
    return median(one.value[name] for one in timed)


def spread(timed: list[Timed]) -> float:
    """How far CPU seconds lie apart: (highest - lowest) / median."""
    seconds = [one.cpu for one in timed]
    return (max(seconds) - min(seconds)) / median(seconds)
