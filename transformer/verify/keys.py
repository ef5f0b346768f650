"""The keys of the table against the digests in the ledger, without reading the export again.

Costs: one read of the key, version and deleted columns of the table with FINAL, and, where there are tombstones, a
second one of the keys that have one. Nothing is read from storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from transformer.schema.digest import KeyDigest
from transformer.schema.proof import FINAL_SETTINGS, deleted_digest, digests
from transformer.verify.result import Check, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformer.schema.table import Table


class Answers(Protocol):
    """What a verification asks a destination."""

    def records(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a SELECT."""

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing."""


def check_keys(destination: Answers, table: Table, version: int, loaded: KeyDigest) -> Check:
    """Compare the keys in `table` with `loaded`, the digest of all keys that were loaded with `version`.

    A row of a key that has a later version hides which keys the export had, unless all of them together make up what is
    missing. Then the counts still tell much, and the finding is CONSISTENT; `--full` proves the rest.
    """
    (row,) = destination.records(digests(table, version), settings=FINAL_SETTINGS)
    numbers = [int(number) for number in row["digests"]]
    same, later, older = (KeyDigest(*numbers[at : at + 3]) for at in (0, 3, 6))
    (row,) = destination.records(deleted_digest(table, version))
    gone = KeyDigest(*(int(number) for number in row["digest"]))
    overtaken = later + gone
    facts = [
        f"in the ledger: {loaded}",
        f"in the table with the version of the export: {same}",
        f"in the table with a later version: {later.count:,} living, {gone.count:,} deleted",
    ]
    if older.count:
        return _mismatch(
            f"{older.count:,} keys in the table are older than the export, which does not have them", facts
        )
    if same == loaded:
        new = f"; {later.count:,} more came later" if later.count else ""
        return Check("keys", Finding.PROVED, f"the table holds exactly the {loaded.count:,} keys that were loaded{new}")
    if same + overtaken == loaded:
        return Check(
            "keys",
            Finding.PROVED,
            f"the table holds exactly the {loaded.count:,} keys that were loaded, {overtaken.count:,} of them changed "
            "or deleted since",
        )
    missing = loaded.count - same.count
    if missing <= 0:
        what = "as many keys as were loaded, but not the same" if missing == 0 else f"{-missing:,} keys too many"
        return _mismatch(f"the table holds {what}", facts)
    if missing > overtaken.count:
        lost = missing - overtaken.count
        return _mismatch(f"the table lacks {lost:,} of the {loaded.count:,} keys that were loaded, or more", facts)
    return Check(
        "keys",
        Finding.CONSISTENT,
        f"{same.count:,} of the {loaded.count:,} keys that were loaded are there unchanged; the other {missing:,} are "
        f"among {overtaken.count:,} that were changed, deleted or added since, which --full can tell apart",
        facts,
    )


def _mismatch(detail: str, facts: list[str]) -> Check:
    return Check("keys", Finding.MISMATCH, detail, [*facts, "`--full` names the keys"])
