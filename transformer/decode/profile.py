"""Counting what stands in an export, at the speed of decoding, in memory that does not grow with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.decoder import Decoder
from transformer.decode.kernels import layout
from transformer.decode.kernels import profile_layout as words
from transformer.decode.kernels.profile import FRAME_WIDTH, profile_rows
from transformer.decode.keys import column_hashes
from transformer.schema.profile import NO_LENGTH, TAGS, Numbers, Place, Profile, Texts
from transformer.schema.table import Column, Table, UnmappedPolicy
from transformer.schema.types import Nullable, String

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from transformer.decode.decoder import Step

MOST_PLACES = 1 << 15
"""Places that one profiler tells apart; their counters and bitmaps are 26 MiB, touched as places are met."""

ARENA_BYTES = 1 << 22


class Profiler:
    """Profiles lines of full exports. Not safe to share between threads: every thread has its own.

    keys: names of top-level attributes of which `key_hashes` are wanted. most_places: see MOST_PLACES.
    """

    def __init__(self, keys: Sequence[str] = (), *, most_places: int = MOST_PLACES) -> None:
        columns = tuple(Column(f"k{number}", (name,), Nullable(String())) for number, name in enumerate(keys))
        table = Table("profile", (), columns, unmapped_policy=UnmappedPolicy.IGNORE)
        self._decoder = Decoder(table, version=0)
        self._places = np.zeros((most_places, words.P_WIDTH), np.int64)
        self._places[:, [words.P_LOW, words.P_LENGTH]] = NO_LENGTH
        self._places[:, words.P_HIGH] = -NO_LENGTH
        self._places[words.LOST, words.P_PARENT] = -1
        self._bitmaps = np.zeros((most_places, words.BITMAP_WORDS), np.uint64)
        self._table = np.zeros(1 << (2 * most_places - 1).bit_length(), np.int64)
        self._arena = np.zeros(ARENA_BYTES, np.uint8)
        self._state = np.zeros(words.Q_SIZE, np.int64)
        self._state[words.Q_PLACES] = words.LOST + 1
        self._frames = np.zeros((layout.MAX_DEPTH + 2, FRAME_WIDTH), np.int64)
        self._lines = self._faults = 0

    def steps(self, buffer: npt.NDArray[np.uint8], begin: int, end: int, most: int | None = None) -> Iterator[Step]:
        """Count the lines of buffer[begin:end] as the steps that the iterator gives are taken.

        buffer, begin, end: as for `Decoder.step`. most: how many items to count, or None for all.
        """
        while begin < end and (most is None or most > 0):
            step = self._decoder.step(
                buffer, begin, end, max_items=1 << 30 if most is None else most, max_bytes=1 << 62
            )
            self._count(step)
            begin += step.size
            most = None if most is None else most - step.items
            yield step

    def _count(self, step: Step) -> None:
        buffer, rows = self._decoder.located
        self._lines += step.items
        self._faults += len(step.rejects)
        profile_rows(
            buffer, rows, step.batch.num_rows, self._places, self._bitmaps, self._table, self._arena, self._state,
            self._frames,
        )  # fmt: skip

    def profile(self) -> Profile:
        """What was counted so far."""
        used = int(self._state[words.Q_PLACES])
        # Children are entered after their parents, so that going backwards each is complete before it is hung in.
        made = [self._place(number) for number in range(used)]
        for number in range(used - 1, 0, -1):
            if number == words.LOST:
                continue
            row = self._places[number]
            parent, place = made[row[words.P_PARENT]], made[number]
            if row[words.P_KIND] == words.K_ELEMENT:
                parent.element = place
            elif row[words.P_KIND] == words.K_REST:
                parent.rest = place
            else:
                at, length = int(row[words.P_NAME]), int(row[words.P_NAME_LENGTH])
                name = json.loads(b'"' + self._arena[at : at + length].tobytes() + b'"', strict=False)
                if name in parent.members:
                    place.add(parent.members[name])  # one name written in two ways
                parent.members[name] = place
        for place in made:
            place.members = dict(sorted(place.members.items()))
        return Profile(made[0], self._lines, self._faults)

    def _place(self, number: int) -> Place:
        row = [int(value) for value in self._places[number]]
        bitmap = int.from_bytes(self._bitmaps[number].astype("<u8").tobytes(), "little")
        return Place(
            tags={tag: row[words.P_TAGS + i] for i, tag in enumerate(TAGS) if row[words.P_TAGS + i]},
            numbers=Numbers(*row[words.P_WHOLE : words.P_DIGITS + 1]),
            texts=Texts(
                row[words.P_LENGTH], row[words.P_LENGTH_MOST], row[words.P_LENGTH_SUM], row[words.P_UUIDS],
                row[words.P_TIMES], row[words.P_INTEGERS], row[words.P_LONG], bitmap,
            ),
            elements=row[words.P_ELEMENTS],
            elements_total=row[words.P_ELEMENTS_SUM],
            first=row[words.P_POSITION],
            second=row[words.P_SECOND],
            lost=words.LOST in (row[words.P_REST], row[words.P_ELEMENT]),
        )  # fmt: skip


def key_hashes(batch: pa.RecordBatch, number: int) -> npt.NDArray[np.uint64]:
    """The hash of each row's value of key attribute `number`; a missing or NULL one counts as empty."""
    return column_hashes(batch.column(number).fill_null(b""), String())
