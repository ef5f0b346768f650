"""The words that the profile kernels and `decode.profile` share: columns of the table of places, and its limits."""

from __future__ import annotations

# Columns of `places` (int64), one row for each place in the items: an attribute, a member of a map, the elements of
# a list or set, or the values of a map whose names are too many to be places of their own.
P_PARENT = 0
P_NAME = 1  # where its name stands in the arena, with its quotes off and its escapes as written
P_NAME_LENGTH = 2
P_KIND = 3
P_CHILDREN = 4  # named members so far
P_REST = 5  # place of the values under names beyond the bound, or 0
P_ELEMENT = 6  # place of the elements, or 0
P_NEXT = 7  # the sibling that followed it last time, or 0
P_FIRST_CHILD = 8  # the member that came first last time, or 0
P_TAGS = 9  # ten counters, in the order of `layout`: NULL, S, N, B, BOOL, M, L, SS, NS, BS
P_WHOLE = 19  # integers up to 2**63 - 1 in magnitude and 19 digits, and their lowest and highest
P_LOW = 20
P_HIGH = 21
P_OTHER = 22  # all other numbers: how many, how many of those are integers, ...
P_OTHER_WHOLE = 23
P_BEFORE = 24  # ... the most digits before and after the point, and the most significant digits
P_AFTER = 25
P_DIGITS = 26
P_LENGTH = 27  # of texts and binaries, in bytes as written: least, most, sum
P_LENGTH_MOST = 28
P_LENGTH_SUM = 29
P_UUIDS = 30  # texts that are UUIDs in lower case, that look like ISO 8601, that are integers
P_TIMES = 31
P_INTEGERS = 32
P_ELEMENTS = 33  # elements of lists and sets, or members of maps: most of one value, sum
P_ELEMENTS_SUM = 34
P_POSITION = 35  # how often it was the first and the second attribute of its item
P_SECOND = 36
P_LONG = 37  # texts longer than HASHED, which are not in the distinct estimate
P_WIDTH = 38

NULL_TAG, S_TAG, N_TAG, B_TAG, BOOL_TAG, M_TAG, L_TAG, SS_TAG, NS_TAG, BS_TAG = range(10)

# Values of P_KIND.
K_MEMBER, K_ELEMENT, K_REST = range(3)

# Slots of the state array (int64).
Q_PLACES = 0  # places in use
Q_ARENA = 1  # bytes of the arena in use
Q_SIZE = 2

LOST = 1
"""The place of everything that found no room for a place of its own; whatever leads to it is not looked into."""

HASHED = 64
"""Longest text in bytes that counts for the distinct estimate: longer ones make no useful dictionary."""

BITMAP_WORDS = 64
"""Words of the bitmap of each place for linear counting: 4,096 bits tell counts up to some 20,000 apart."""

MOST_MEMBERS = 256
"""Names of one map that become places; the values under any further names share one."""

MOST_ATTRIBUTES = 2048
"""The same for the top level of items."""
