"""The keys of a change stand twice on its line: in Keys, and in the new image. They must say the same."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import MISSING
from transformer.decode.kernels.strings import equal_bytes


@kernel("void(uint8[::1], int32[::1], int32[::1], uint8[::1], int64, int64, int64, int64, uint8[::1])")
def mark_unequal(buf, start, length, tag, image, one, other, count, marks):
    """Set marks[r] for the records r whose spans from `one` and from `other` differ in type tag or bytes.

    image: the first span of the new images; records without one are passed over. marks: uint8, `count` long.
    Numbers of equal value may be written differently; a mark is a question, not an answer.
    """
    for record in range(count):
        if tag[image + record] == MISSING:
            continue
        a, b = one + record, other + record
        if tag[a] != tag[b] or length[a] != length[b]:
            marks[record] = 1
        elif not equal_bytes(buf, np.int64(start[a]), np.int64(start[b]), np.int64(length[a])):
            marks[record] = 1
