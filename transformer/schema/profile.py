"""What was seen at every place of the items of an export: the input of `schema.infer`.

Counts are exact; only `distinct` is an estimate. Profiles of parts add up to the profile of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TAGS = ("NULL", "S", "N", "B", "BOOL", "M", "L", "SS", "NS", "BS")

DISTINCT_BITS = 4096

NO_LENGTH = (1 << 63) - 1
"""Lowest value before any was seen: of lengths, and of numbers."""


@dataclass(slots=True)
class Numbers:
    """The numbers of one place.

    whole: integers of a magnitude below 2**63, written with at most 19 digits and nothing else; low and high are their
    extremes.
    other: all others; other_whole: those of them that are integers; before, after: their most digits before and after
    the point; digits: their most significant digits.
    """

    whole: int = 0
    low: int = NO_LENGTH
    high: int = -NO_LENGTH
    other: int = 0
    other_whole: int = 0
    before: int = 0
    after: int = 0
    digits: int = 0

    def add(self, more: Numbers) -> None:
        """Add what another part has seen."""
        self.whole += more.whole
        self.low, self.high = min(self.low, more.low), max(self.high, more.high)
        self.other += more.other
        self.other_whole += more.other_whole
        self.before = max(self.before, more.before)
        self.after = max(self.after, more.after)
        self.digits = max(self.digits, more.digits)

    @property
    def before_point(self) -> int:
        """The most digits that any of the numbers has before the point."""
        magnitude = max(abs(self.low), abs(self.high)) if self.whole else 0
        return max(self.before, len(str(magnitude)) if magnitude else 0)


@dataclass(slots=True)
class Texts:
    """The texts and binaries of one place; lengths are bytes as written in the file.

    uuids: UUIDs in lower case. times: texts that look like ISO 8601 with a zone. integers: integers in plain notation.
    long: texts too long for a dictionary. bitmap: bit h of DISTINCT_BITS is set when the hash of some text gave h.
    """

    least: int = NO_LENGTH
    most: int = 0
    total: int = 0
    uuids: int = 0
    times: int = 0
    integers: int = 0
    long: int = 0
    bitmap: int = 0

    def add(self, more: Texts) -> None:
        """Add what another part has seen."""
        self.least, self.most = min(self.least, more.least), max(self.most, more.most)
        self.total += more.total
        self.uuids += more.uuids
        self.times += more.times
        self.integers += more.integers
        self.long += more.long
        self.bitmap |= more.bitmap

    @property
    def distinct(self) -> int | None:
        """About how many different texts there are (linear counting, Whang 1990); None when more than can be told."""
        unset = DISTINCT_BITS - self.bitmap.bit_count()
        if self.long or unset < DISTINCT_BITS // 64:
            return None
        return round(-DISTINCT_BITS * math.log(unset / DISTINCT_BITS))


@dataclass(slots=True)
class Place:
    """One place of the items, and all places below it.

    tags: how many values of each type tag stood here. elements, elements_total: most in one list, set or map; in all.
    first, second: how often it was the first and the second attribute of its item. members: of its maps, by name.
    rest: the values under names that were too many to be told apart. element: the elements of its lists and sets.
    lost: something below it found no room, so nothing is known of what stands there.
    """

    tags: dict[str, int] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=Numbers)
    texts: Texts = field(default_factory=Texts)
    elements: int = 0
    elements_total: int = 0
    first: int = 0
    second: int = 0
    members: dict[str, Place] = field(default_factory=dict)
    rest: Place | None = None
    element: Place | None = None
    lost: bool = False

    @property
    def count(self) -> int:
        """Values that stood here, NULLs included."""
        return sum(self.tags.values())

    def add(self, more: Place) -> None:
        """Add what another part has seen. `more` is not changed, but parts of it may become parts of this one."""
        for tag, count in more.tags.items():
            self.tags[tag] = self.tags.get(tag, 0) + count
        self.numbers.add(more.numbers)
        self.texts.add(more.texts)
        self.elements = max(self.elements, more.elements)
        self.elements_total += more.elements_total
        self.first += more.first
        self.second += more.second
        self.lost = self.lost or more.lost
        for name, place in more.members.items():
            if name in self.members:
                self.members[name].add(place)
            else:
                self.members[name] = place
        self.rest = _sum(self.rest, more.rest)
        self.element = _sum(self.element, more.element)

    def values(self) -> Place:
        """All members as one: what stands under the names of a map whose names are data."""
        everything = Place()
        for place in (*self.members.values(), *((self.rest,) if self.rest else ())):
            everything.add(_copy(place))
        return everything


def _sum(one: Place | None, other: Place | None) -> Place | None:
    if one is None or other is None:
        return one or other
    one.add(other)
    return one


def _copy(place: Place) -> Place:
    copy = Place()
    copy.add(place)
    # `add` takes parts over as they are, and the sum must not grow into the places that it is made of.
    copy.members = {name: _copy(member) for name, member in place.members.items()}
    copy.rest = None if place.rest is None else _copy(place.rest)
    copy.element = None if place.element is None else _copy(place.element)
    return copy


@dataclass(slots=True)
class Profile:
    """An export, or a part of it.

    item: the place of the whole item. lines: those that are not blank. faults: those that are no valid items, of which
    nothing is counted below `item`.
    """

    item: Place = field(default_factory=Place)
    lines: int = 0
    faults: int = 0

    @property
    def items(self) -> int:
        """Valid items."""
        return self.lines - self.faults

    def add(self, more: Profile) -> None:
        """Add what another part has seen."""
        self.item.add(more.item)
        self.lines += more.lines
        self.faults += more.faults
