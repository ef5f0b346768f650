"""The nearest double of a decimal number text, ties to even.

Clinger's fast path where both factors are exact, else the algorithm of Eisel and Lemire in the form of Mushtak and
Lemire, "Fast Number Parsing Without Fallback" (2023): one or two 64 x 64 bit products with a 128-bit power of five.
Only texts of more than 19 digits can stay undecided; the caller settles those with Python's float().
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.numbers import (
    BAD_NUMBER,
    EXPONENT,
    FRACTION,
    FRACTION_END,
    NEGATIVE,
    OUT_OF_RANGE,
    WHOLE,
    WHOLE_END,
    scan_number,
)
from transformer.decode.kernels.primitives import add, leading_zeros, multiply, multiply_high

UNDECIDED = 1
LOWEST, HIGHEST = -342, 308


def _powers_of_five() -> np.ndarray:
    """5^q for q in LOWEST..HIGHEST as normalised 128-bit numbers (high, low); reciprocals are rounded up."""
    rows = []
    for q in range(LOWEST, HIGHEST + 1):
        power = 5 ** abs(q)
        if q < 0:
            bits = power.bit_length() - (power & (power - 1) == 0)
            value = (1 << (bits + 127 if q >= -27 else 2 * bits + 128)) // power + 1
        else:
            value = power << 128
        value >>= value.bit_length() - 128
        rows.append((value >> 64, value & ((1 << 64) - 1)))
    return np.array(rows, np.uint64)


FIVES = _powers_of_five()
EXACT = 10.0 ** np.arange(23)
ONE = np.uint64(1)
TEN = np.uint64(10)
HIDDEN = np.uint64(1 << 52)
INFINITY = np.uint64(0x7FF << 52)


@kernel("uint64(uint64, int64)")
def nearest_bits(digits, power):
    """The bits of the double nearest to digits * 10^power, for digits > 0. Infinity where it is above every double."""
    if power < LOWEST:
        return np.uint64(0)
    if power > HIGHEST:
        return INFINITY
    shift = leading_zeros(digits)
    digits <<= np.uint64(shift)
    row = power - LOWEST
    low = multiply(digits, FIVES[row, 0])
    high = multiply_high(digits, FIVES[row, 0])
    if (high & np.uint64(0x1FF)) == np.uint64(0x1FF):
        more = multiply_high(digits, FIVES[row, 1])
        low = add(low, more)
        if more > low:
            high += ONE
    upper = np.int64(high >> np.uint64(63))
    drop = np.uint64(upper + 9)
    mantissa = high >> drop
    exponent = ((217706 * power) >> 16) + 63 + upper - shift + 1023
    if exponent <= 0:
        if 1 - exponent >= 64:
            return np.uint64(0)
        mantissa >>= np.uint64(1 - exponent)
        return (mantissa + (mantissa & ONE)) >> ONE
    if low <= ONE and -4 <= power <= 23 and (mantissa & np.uint64(3)) == ONE and (mantissa << drop) == high:
        mantissa ^= ONE  # exactly half way, and the lower neighbour is even
    mantissa = (mantissa + (mantissa & ONE)) >> ONE
    if mantissa >= HIDDEN << ONE:
        mantissa = HIDDEN
        exponent += 1
    if exponent >= 0x7FF:
        return INFINITY
    return (mantissa ^ HIDDEN) | (np.uint64(exponent) << np.uint64(52))


@kernel("int64(uint8[::1], int64, int64, int64[::1], float64[::1], int64)")
def write_float(buf, at, end, parts, out, index):
    """Write the double nearest to the number buf[at:end] to out[index]; zero has no sign.

    Returns 0, BAD_NUMBER, OUT_OF_RANGE when it is above the largest double, or UNDECIDED, with nothing written.
    """
    if not scan_number(buf, at, end, parts):
        return np.int64(BAD_NUMBER)
    whole, whole_end = parts[WHOLE], parts[WHOLE_END]
    fraction, fraction_end = parts[FRACTION], parts[FRACTION_END]
    digits = np.uint64(0)
    taken = np.int64(0)
    power = parts[EXPONENT]
    cut = False
    for i in range(whole, whole_end):
        if taken == 0 and buf[i] == 0x30:
            continue
        if taken < 19:
            digits = digits * TEN + np.uint64(np.int64(buf[i]) - 0x30)
            taken += 1
        else:
            power += 1
            cut = cut or buf[i] != 0x30
    for i in range(fraction, fraction_end):
        if taken == 0 and buf[i] == 0x30:
            power -= 1
            continue
        if taken < 19:
            digits = digits * TEN + np.uint64(np.int64(buf[i]) - 0x30)
            taken += 1
            power -= 1
        else:
            cut = cut or buf[i] != 0x30
    if taken == 0:
        out[index] = 0.0
        return np.int64(0)
    if not cut and digits <= (HIDDEN << ONE) and -22 <= power <= 22:
        value = np.float64(digits)
        value = value * EXACT[power] if power >= 0 else value / EXACT[-power]
        out[index] = -value if parts[NEGATIVE] != 0 else value
        return np.int64(0)
    bits = nearest_bits(digits, power)
    if cut and nearest_bits(digits + ONE, power) != bits:
        return np.int64(UNDECIDED)
    if bits == INFINITY:
        return np.int64(OUT_OF_RANGE)
    if parts[NEGATIVE] != 0 and bits != np.uint64(0):
        bits |= ONE << np.uint64(63)
    out.view(np.uint64)[index] = bits
    return np.int64(0)
