"""Number texts: their exact value as scaled integers of up to 256 bits, and their canonical plain notation."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.primitives import add, multiply, multiply_high, subtract
from transformer.decode.kernels.strings import FAULT, copy_run

BAD_NUMBER, NOT_PLAIN, INEXACT, OUT_OF_RANGE = 40, 53, 54, 55

# Slots of the parts array (int64) that `scan_number` fills.
NEGATIVE, WHOLE, WHOLE_END, FRACTION, FRACTION_END, EXPONENT, PARTS = 0, 1, 2, 3, 4, 5, 6

POWERS = np.array([10**i for i in range(19)], np.uint64)
ZERO, TEN = np.uint64(0), np.uint64(10)
MAX_DIGITS = 78  # of UInt256's highest value


@kernel("boolean(uint8[::1], int64, int64, int64[::1])")
def scan_number(buf, at, end, parts):
    """Whether buf[at:end] is a number (see `typed.is_number`); fills `parts` with where its pieces stand."""
    parts[NEGATIVE] = 0
    if at < end and buf[at] == 0x2D:
        parts[NEGATIVE] = 1
        at += 1
    parts[WHOLE] = at
    while at < end and 0x30 <= buf[at] <= 0x39:
        at += 1
    parts[WHOLE_END] = at
    size = at - parts[WHOLE]
    if size == 0 or (size > 1 and buf[parts[WHOLE]] == 0x30):
        return False
    parts[FRACTION] = at
    parts[FRACTION_END] = at
    parts[EXPONENT] = 0
    if at < end and buf[at] == 0x2E:
        at += 1
        parts[FRACTION] = at
        while at < end and 0x30 <= buf[at] <= 0x39:
            at += 1
        parts[FRACTION_END] = at
        if at == parts[FRACTION]:
            return False
    if at < end and (buf[at] == 0x65 or buf[at] == 0x45):
        at += 1
        sign = np.int64(1)
        if at < end and (buf[at] == 0x2B or buf[at] == 0x2D):
            sign = np.int64(-1 if buf[at] == 0x2D else 1)
            at += 1
        if not 1 <= end - at <= 3:
            return False
        exponent = np.int64(0)
        while at < end and 0x30 <= buf[at] <= 0x39:
            exponent = exponent * 10 + np.int64(buf[at]) - 0x30
            at += 1
        parts[EXPONENT] = sign * exponent
    return at == end


@kernel("boolean(uint8[::1], int64, int64)")
def is_plain(buf, at, end):
    """Whether buf[at:end] is a number in canonical plain notation: no exponent, no superfluous zero or sign."""
    begin = at
    if at < end and buf[at] == 0x2D:
        at += 1
    whole = at
    while at < end and 0x30 <= buf[at] <= 0x39:
        at += 1
    size = at - whole
    if size == 0 or (size > 1 and buf[whole] == 0x30):
        return False
    if at == end:
        return not (buf[begin] == 0x2D and size == 1 and buf[whole] == 0x30)
    if buf[at] != 0x2E:
        return False
    at += 1
    if at == end:
        return False
    while at < end and 0x30 <= buf[at] <= 0x39:
        at += 1
    return at == end and buf[end - 1] != 0x30


@kernel("void(uint8[::1], int64[::1])")
def trim(buf, parts):
    """Move the bounds in `parts` past leading and trailing zero digits; both parts empty for zero.

    Digits between stay where they are: the number is WHOLE..WHOLE_END, then FRACTION..FRACTION_END, and the exponent
    counts from the decimal point as before. Zeros at the end of the whole part are kept: they have a place value.
    """
    while parts[WHOLE] < parts[WHOLE_END] and buf[parts[WHOLE]] == 0x30:
        parts[WHOLE] += 1
    while parts[FRACTION] < parts[FRACTION_END] and buf[parts[FRACTION_END] - 1] == 0x30:
        parts[FRACTION_END] -= 1


@kernel("boolean(uint64[::1], uint64, uint64)")
def multiply_add(limbs, factor, addend):
    """limbs = limbs * factor + addend (four uint64, lowest first); True when that does not fit into 256 bits."""
    carry = addend
    for i in range(4):
        low = multiply(limbs[i], factor)
        high = multiply_high(limbs[i], factor)
        low = add(low, carry)
        carry = high + (np.uint64(1) if low < carry else ZERO)
        limbs[i] = low
    return carry != ZERO


@kernel("int64(uint8[::1], int64, int64, int64, int64[::1], uint64[::1])")
def scaled(buf, at, end, scale, parts, limbs):
    """The number buf[at:end] times 10^scale: sign in parts[NEGATIVE], magnitude in limbs (four uint64, lowest first).

    Returns 0, BAD_NUMBER when it is no number, INEXACT when the product is no integer, or OUT_OF_RANGE when the
    magnitude does not fit into 256 bits. `scale` may be negative.
    """
    if not scan_number(buf, at, end, parts):
        return np.int64(BAD_NUMBER)
    trim(buf, parts)
    for i in range(4):
        limbs[i] = ZERO
    whole = parts[WHOLE_END] - parts[WHOLE]
    fraction = parts[FRACTION_END] - parts[FRACTION]
    # The digit string is whole + fraction; its last digit is worth 10^power after scaling.
    power = parts[EXPONENT] + scale - fraction
    significant = whole + fraction
    if significant == 0:
        parts[NEGATIVE] = 0
        return np.int64(0)
    position = significant - 1
    while True:
        place = parts[WHOLE] + position if position < whole else parts[FRACTION] + position - whole
        if buf[place] != 0x30:
            break
        position -= 1
        power += 1
    significant = position + 1
    if significant == 0:
        parts[NEGATIVE] = 0
        return np.int64(0)
    if power < 0:
        return np.int64(INEXACT)
    # Leading zeros of a fraction (0.001) are still in the string; they add nothing to the digits.
    skip = np.int64(0)
    if whole == 0:
        while buf[parts[FRACTION] + skip] == 0x30:
            skip += 1
    if significant - skip + power > MAX_DIGITS:
        return np.int64(OUT_OF_RANGE)
    group = ZERO
    grouped = 0
    full = False
    for i in range(skip, significant):
        place = parts[WHOLE] + i if i < whole else parts[FRACTION] + i - whole
        group = group * TEN + np.uint64(np.int64(buf[place]) - 0x30)
        grouped += 1
        if grouped == 18:
            full = multiply_add(limbs, POWERS[18], group) or full
            group = ZERO
            grouped = 0
    full = multiply_add(limbs, POWERS[grouped], group) or full
    while power > 0:
        step = min(power, 18)
        full = multiply_add(limbs, POWERS[step], ZERO) or full
        power -= step
    return np.int64(OUT_OF_RANGE if full else 0)


@kernel("boolean(uint64[::1], uint64[:, ::1], int64)")
def exceeds(limbs, limits, row):
    """Whether the magnitude in `limbs` is above the one in limits[row]."""
    for i in range(3, -1, -1):
        if limbs[i] != limits[row, i]:
            return limbs[i] > limits[row, i]
    return False


@kernel("void(uint64[::1])")
def negate(limbs):
    """limbs = -limbs in two's complement of 256 bits."""
    borrow = ZERO
    for i in range(4):
        value = subtract(subtract(ZERO, limbs[i]), borrow)
        borrow = np.uint64(1) if (limbs[i] != ZERO or borrow != ZERO) else ZERO
        limbs[i] = value


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64, int64[::1])")
def write_plain(buf, at, end, out, to, parts):
    """Write the number buf[at:end] in canonical plain notation to out[to:]; returns the position behind it.

    -1 when it is no number. Writes at most (end - at) + 1002 bytes, and up to 31 beyond: three exponent digits can
    put 999 zeros before or behind the digits.
    """
    if is_plain(buf, at, end):
        return copy_run(buf, at, end, out, to)
    if not scan_number(buf, at, end, parts):
        return FAULT
    whole_from, fraction_from = parts[WHOLE], parts[FRACTION]
    whole = parts[WHOLE_END] - whole_from
    total = whole + parts[FRACTION_END] - fraction_from
    point = whole + parts[EXPONENT]  # digits before the decimal point
    first = np.int64(0)
    while first < total and buf[whole_from + first if first < whole else fraction_from + first - whole] == 0x30:
        first += 1
    last = total
    while last > first and buf[whole_from + last - 1 if last <= whole else fraction_from + last - 1 - whole] == 0x30:
        last -= 1
    if first == last:
        out[to] = 0x30
        return to + 1
    if parts[NEGATIVE] != 0:
        out[to] = 0x2D
        to += 1
    if point <= first:
        out[to] = 0x30
        out[to + 1] = 0x2E
        to += 2
        for _ in range(point, first):
            out[to] = 0x30
            to += 1
    for i in range(first, last):
        if i == point and i > first:
            out[to] = 0x2E
            to += 1
        out[to] = buf[whole_from + i if i < whole else fraction_from + i - whole]
        to += 1
    for _ in range(last, point):
        out[to] = 0x30
        to += 1
    return to
