"""Both engines on the same lines, and the smallest input on which they still differ."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from decode_compare import decode, judge

from transformer.errors import Verdict
from transformer.schema.table import Table

Differs = Callable[[list[bytes]], bool]
"""Whether the engines differ on these lines."""

_TRIALS = 4000  # of one minimisation: each is a call of both engines


@dataclass(frozen=True, slots=True)
class Outcome:
    """What both engines agree on, or where they do not.

    difference: empty when they agree. features: for each line that was rejected, its number and what makes its verdict
    unlike others; a line with a new one is worth breaking further. rows, rejects: how many.
    """

    difference: str
    features: tuple[tuple[int, tuple[int, str, str]], ...] = ()
    rows: int = 0
    rejects: int = 0


def compare(table: Table, lines: list[bytes], seed: int = 0) -> Outcome:
    """Decode the lines with kernels and twin. seed: decides where steps end and how much room is behind the block."""
    chance = random.Random(seed)
    data = b"\n".join(lines) + chance.choice((b"", b"\n"))
    most, slack = chance.choice((1 << 30, 1 << 30, 64, 7)), chance.choice((0, 64, 5000))
    wanted_rows, wanted_rejects = judge(table, data)
    try:
        rows, rejects, _ = decode(table, data, max_items=most, slack=slack)
    except Exception as error:
        return Outcome(f"the kernels raised {type(error).__name__}: {error}")
    if rejects != wanted_rejects:
        for got, wanted in zip(rejects, wanted_rejects, strict=False):
            if got != wanted:
                return Outcome(f"kernels reject {got}, the twin rejects {wanted}")
        return Outcome(f"{len(rejects)} rejects by the kernels, {len(wanted_rejects)} by the twin")
    if repr(rows) != repr(wanted_rows):  # as text: 0.0 and -0.0, 1 and True are not the same here
        for got_row, wanted_row in zip(rows, wanted_rows, strict=False):
            if repr(got_row) != repr(wanted_row):
                return Outcome(f"kernels give {got_row}, the twin gives {wanted_row}")
        return Outcome(f"{len(rows)} rows by the kernels, {len(wanted_rows)} by the twin")
    features = tuple((number, _feature(verdict)) for number, _, _, verdict in rejects)
    return Outcome("", features, len(rows), len(rejects))


def _feature(verdict: Verdict) -> tuple[int, str, str]:
    """Code, column, and the form of the path: at how many steps and list places it stands."""
    return verdict.code.value, verdict.column, f"{verdict.path.count('.')} {verdict.path.count('[')}"


def minimised(lines: list[bytes], differs: Differs) -> list[bytes]:
    """As few and as short lines as still differ; `lines` itself must.

    Stretches are taken out, long ones first, for as long as that helps and no more than some thousand trials are spent.
    """
    trials = 0

    def still(candidate: list[bytes]) -> bool:
        nonlocal trials
        trials += 1
        return trials <= _TRIALS and differs(candidate)

    lines = _shorter(lines, still)
    for at in range(len(lines)):
        before, after = lines[:at], lines[at + 1 :]
        pieces = [bytes([byte]) for byte in lines[at]]
        less = _shorter(pieces, lambda parts, b=before, a=after: still([*b, b"".join(parts), *a]))
        lines = [*before, b"".join(less), *after]
    return lines


def _shorter(parts: list[bytes], still: Differs) -> list[bytes]:
    """`parts` less every stretch that is not needed: halves first, then ever shorter ones, twice over."""
    for _ in range(2):
        size = max(len(parts) // 2, 1)
        while size:
            at = 0
            while at < len(parts):
                candidate = parts[:at] + parts[at + size :]
                if candidate and still(candidate):
                    parts = candidate
                else:
                    at += size
            size //= 2
    return parts
