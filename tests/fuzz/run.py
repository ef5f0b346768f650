"""One round: one table, some valid lines, many broken ones; and the file that a failure leaves behind."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzz.engines import compare, minimised
from fuzz.lines import Lines
from fuzz.tables import make_table
from transformer.schema.table import Table

ROUND = 2000
"""Cases of one round, which is one table."""

BATCH = 250
_CORPUS = 60
_MOST = 400  # lines that a corpus may have


@dataclass
class Tally:
    """What rounds came to."""

    cases: int = 0
    rows: int = 0
    rejects: int = 0
    features: int = 0


@dataclass(frozen=True)
class Failure:
    """What a round found: the file that holds it, and what was seen."""

    file: Path
    seen: str


def run_round(seed: int, folder: Path, cases: int = ROUND) -> tuple[Tally, Failure | None]:
    """Run the round of this seed. Lines under test are written to `folder` first: a crash leaves them there."""
    table = make_table(seed)
    chance = random.Random(f"round {seed}")
    lines = Lines(table, chance)
    corpus = [lines.valid() for _ in range(_CORPUS)]
    seen: set[tuple[int, str, str]] = set()
    tally = Tally()
    in_hand = folder / f"in-hand-{seed}.json"
    batch = corpus
    while tally.cases < cases:
        order = chance.randrange(1 << 30)
        save(in_hand, seed, order, batch, "the process ended while it decoded these lines")
        outcome = compare(table, batch, order)
        if outcome.difference:
            less = minimised(batch, partial(_differs, table, order))
            why = compare(table, less, order).difference
            file = folder / f"failure-{seed}.json"
            save(file, seed, order, less, why)
            in_hand.unlink()
            return tally, Failure(file, why)
        tally.cases += len(batch)
        tally.rows += outcome.rows
        tally.rejects += outcome.rejects
        for number, feature in outcome.features:
            if feature not in seen and len(corpus) < _MOST:
                seen.add(feature)
                corpus.append(batch[number])
        batch = [lines.broken(corpus) for _ in range(min(BATCH, max(cases - tally.cases, 1)))]
    tally.features = len(seen)
    in_hand.unlink()
    return tally, None


def _differs(table: Table, order: int, lines: list[bytes]) -> bool:
    return bool(compare(table, lines, order).difference)


def save(file: Path, seed: int, order: int, lines: list[bytes], seen: str) -> None:
    """Write lines and all that is needed to run them again."""
    record = {
        "seed": seed,
        "order": order,
        "seen": seen,
        "lines": [base64.b64encode(line).decode() for line in lines],
        "text": [line.decode("utf-8", "backslashreplace") for line in lines],
    }
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")


def replay(file: Path) -> str:
    """The difference on the lines of a saved failure, or empty."""
    record = json.loads(file.read_text(encoding="utf-8"))
    lines = [base64.b64decode(text) for text in record["lines"]]
    return compare(make_table(record["seed"]), lines, record["order"]).difference
