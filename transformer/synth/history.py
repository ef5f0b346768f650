"""What happens to a table over time: puts, updates and deletes, with the state known at every moment.

Exports (`increments`) and stream records (`kinesis`) of one history are two accounts of one truth, its `state`.
Times are microseconds since 1970, whole numbers, because they become versions.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from transformer.errors import UsageError
from transformer.synth import manifests, shapes
from transformer.synth.rows import chance

if TYPE_CHECKING:
    from datetime import datetime

Item = Mapping[str, Mapping[str, Any]]
"""Attribute name to typed value, as DynamoDB JSON has it in exports: `{"id": {"S": "a"}, "n": {"N": "1"}}`."""

Step = tuple[int, Item, Item | None]
"""A write: time in microseconds, the key attributes, the whole item after it, or None for a delete."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write that changed something.

    micros: its time. key: the key attributes, partition key first. old, new: the item before and after it, or None
    where there was none; never both. expired: the deletion was made by DynamoDB itself, because of the item's TTL.
    """

    micros: int
    key: Item
    old: Item | None
    new: Item | None
    expired: bool = False

    @property
    def event(self) -> str:
        """INSERT, MODIFY or REMOVE, as stream records name it."""
        return "REMOVE" if self.new is None else "INSERT" if self.old is None else "MODIFY"


@dataclass(frozen=True)
class History:
    """Changes of one table in the order in which they happened; it begins empty.

    table: its name. key: the names of the key attributes, partition key first.
    """

    table: str
    key: tuple[str, ...]
    changes: tuple[Change, ...]

    @cached_property
    def _times(self) -> list[int]:
        return [change.micros for change in self.changes]

    @property
    def start(self) -> int:
        """The time of the first change."""
        return self._times[0]

    @property
    def end(self) -> int:
        """One microsecond after the last change."""
        return self._times[-1] + 1

    def state(self, before: int | None = None) -> list[Item]:
        """The items that exist just before a moment (by default after everything), in the order they were put."""
        items: dict[str, Item] = {}
        for change in self.between(0, self.end if before is None else before):
            identity = key_text(change.key)
            if change.new is None:
                del items[identity]
            else:
                items[identity] = change.new
        return list(items.values())

    def between(self, since: int, before: int) -> tuple[Change, ...]:
        """The changes with since <= time < before."""
        return self.changes[bisect_left(self._times, since) : bisect_left(self._times, before)]

    def net(self, since: int, before: int) -> list[Change]:
        """What an incremental export of [since, before) holds: per item one change, from the state just before the
        window to the state at its end, with the time of the last write. An item put and deleted inside the window
        leaves none (Developer Guide, "How incremental exports work"; not seen in a real export)."""
        last: dict[str, Change] = {}
        first_old: dict[str, Item | None] = {}
        for change in self.between(since, before):
            identity = key_text(change.key)
            first_old.setdefault(identity, change.old)
            last[identity] = change
        return [
            Change(change.micros, change.key, first_old[identity], change.new, change.expired)
            for identity, change in last.items()
            if change.new is not None or first_old[identity] is not None
        ]


def key_text(key: Item) -> str:
    """The identity of an item: its typed key attributes as text."""
    return json.dumps(key, sort_keys=True)


def history(
    table: str, key: tuple[str, ...], steps: Iterable[Step], *, expired: frozenset[int] = frozenset()
) -> History:
    """The history that these writes make, in any order given; equal times keep their order.

    Writes that change nothing (a delete of what is not there, a put of an equal item) leave no change: DynamoDB streams
    none for them. expired: positions in `steps` whose deletes are TTL's.
    """
    items: dict[str, Item] = {}
    changes = []
    for position, (micros, names, new) in sorted(enumerate(steps), key=lambda pair: pair[1][0]):
        identity = key_text(names)
        old = items.pop(identity, None)
        if new is not None:
            items[identity] = new
        if old != new:
            changes.append(Change(micros, names, old, new, new is None and position in expired))
    return History(table, key, tuple(changes))


def make_history(
    *,
    shape: str,
    keys: int,
    writes: int,
    seed: int,
    table: str | None = None,
    start: datetime = manifests.FIRST_EXPORT,
    seconds: float = 3600.0,
    deletes: float = 0.25,
) -> History:
    """A history of `writes` writes to at most `keys` different items of a shape, within `seconds` from `start`.

    A pure function of its arguments. deletes: the share of deletes among the writes; half of them are TTL's. Times are
    strictly ascending, some of them within one millisecond. A deleted item may be put again.

    Raises UsageError for arguments that make no history.
    """
    if keys < 1 or writes < 1 or not 0 <= deletes < 1:
        raise UsageError("a history has at least one key, one write, and fewer deletes than writes")
    micros = _micros(start)
    span = round(seconds * 1e6)
    if span < writes:
        raise UsageError(f"{writes:,} writes do not fit into {seconds} s at one microsecond each")
    draw = chance(seed, "history", shape)
    names = shapes.key_names(shape)
    bodies = [json.loads(line)["Item"] for line in shapes.lines(shape, max(keys, min(writes, 4 * keys)), seed)]
    identities = [{name: body[name] for name in names} for body in bodies[:keys]]
    times = sorted(draw.sample(range(span), writes))
    for at in range(1, writes):
        # Neighbours within one millisecond: what MILLISECOND precision cannot tell apart.
        if draw.random() < 0.1 and times[at - 1] + 1 < times[at]:
            times[at] = times[at - 1] + draw.randrange(1, min(1000, times[at] - times[at - 1]))
    steps: list[Step] = []
    expired = set()
    for at, time in enumerate(times):
        key = draw.choice(identities)
        if at and draw.random() < deletes:
            if draw.random() < 0.5:
                expired.add(at)
            steps.append((micros + time, key, None))
        else:
            body = {name: value for name, value in draw.choice(bodies).items() if name not in names}
            steps.append((micros + time, key, {**key, **body}))
    return history(table or shapes.shape_named(shape).name, names, steps, expired=frozenset(expired))


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise UsageError("the start of a history needs a time zone")
    return round(moment.timestamp()) * 1_000_000 + moment.microsecond
