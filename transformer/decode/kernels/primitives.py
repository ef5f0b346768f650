"""The few operations that LLVM does better than a loop. Each is a Python function, which is its definition and what
runs when compilation is off, and a machine version of the same sentence, attached with `overload`.

All read `buf` (uint8, C-contiguous) past what they were asked about, up to 64 bytes: PADDING is part of the contract
of every kernel, and what stands in the padding never changes a result.

Longer than other kernels because every operation stands here twice, and nothing else does.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

PADDING = 64
"""Readable zero bytes that must follow the data of every buffer given to a kernel."""

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_MASK64 = (1 << 64) - 1


def _bytes_array(value):
    return isinstance(value, types.Array) and value.dtype == types.uint8 and value.layout == "C"


def _splat(value: int, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(_BYTE, lanes), [ir.Constant(_BYTE, value)] * lanes)


def _address(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.gep(data, [index])


def _load(context, builder, array_type, array, index, kind):
    return builder.load(
        builder.bitcast(_address(context, builder, array_type, array, index), kind.as_pointer()), align=1
    )


def load64(buf, at):
    """The eight bytes from `at` as a little-endian uint64."""
    return np.uint64(int.from_bytes(bytes(buf[at : at + 8]), "little"))


@intrinsic
def _load64(typingctx, buf, at):
    def codegen(context, builder, signature, args):
        return _load(context, builder, signature.args[0], args[0], args[1], _WORD)

    return types.uint64(buf, types.int64), codegen


@overload(load64)
def _load64_compiled(buf, at):
    if _bytes_array(buf):
        return lambda buf, at: _load64(buf, at)
    return None


def store64(buf, at, word):
    """Write `word` to the eight bytes from `at`, little-endian."""
    buf[at : at + 8] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)


@intrinsic
def _store64(typingctx, buf, at, word):
    def codegen(context, builder, signature, args):
        pointer = builder.bitcast(_address(context, builder, signature.args[0], args[0], args[1]), _WORD.as_pointer())
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(buf, types.int64, types.uint64), codegen


@overload(store64)
def _store64_compiled(buf, at, word):
    if _bytes_array(buf):
        return lambda buf, at, word: _store64(buf, at, word)
    return None


def copy32(target, to, source, at):
    """Copy the 32 bytes from source[at] to target[to]. Writes all 32, whatever length was meant: targets have room."""
    target[to : to + 32] = source[at : at + 32]


@intrinsic
def _copy32(typingctx, target, to, source, at):
    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_BYTE, 32)
        value = _load(context, builder, signature.args[2], args[2], args[3], kind)
        pointer = _address(context, builder, signature.args[0], args[0], args[1])
        builder.store(value, builder.bitcast(pointer, kind.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), codegen


@overload(copy32)
def _copy32_compiled(target, to, source, at):
    if _bytes_array(target) and _bytes_array(source):
        return lambda target, to, source, at: _copy32(target, to, source, at)
    return None


def prefetch(buf, at):
    """Tell the processor that the bytes from `at` will be read soon. Has no result; `at` need not be inside."""


@intrinsic
def _prefetch(typingctx, buf, at):
    def codegen(context, builder, signature, args):
        flag = ir.IntType(32)
        pointer = _address(context, builder, signature.args[0], args[0], args[1])
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", (pointer.type,), kind)
        builder.call(function, [pointer, ir.Constant(flag, 0), ir.Constant(flag, 3), ir.Constant(flag, 1)])
        return context.get_dummy_value()

    return types.void(buf, types.int64), codegen


@overload(prefetch)
def _prefetch_compiled(buf, at):
    if _bytes_array(buf):
        return lambda buf, at: _prefetch(buf, at)
    return None


def string_marks32(buf, at):
    """Bit i (of 32, in a uint64) is set when buf[at + i] is a quote or a backslash."""
    mask = 0
    for i in range(32):
        if buf[at + i] == 0x22 or buf[at + i] == 0x5C:
            mask |= 1 << i
    return np.uint64(mask)


@intrinsic
def _string_marks32(typingctx, buf, at):
    def codegen(context, builder, signature, args):
        block = _load(context, builder, signature.args[0], args[0], args[1], ir.VectorType(_BYTE, 32))
        quote = builder.icmp_unsigned("==", block, _splat(0x22, 32))
        slash = builder.icmp_unsigned("==", block, _splat(0x5C, 32))
        return builder.zext(builder.bitcast(builder.or_(quote, slash), ir.IntType(32)), _WORD)

    return types.uint64(buf, types.int64), codegen


@overload(string_marks32)
def _string_marks32_compiled(buf, at):
    if _bytes_array(buf):
        return lambda buf, at: _string_marks32(buf, at)
    return None


def string_marks64(buf, at):
    """Bit i is set when buf[at + i] is a quote or a backslash."""
    return np.uint64(sum(1 << i for i in range(64) if buf[at + i] == 0x22 or buf[at + i] == 0x5C))


@intrinsic
def _string_marks64(typingctx, buf, at):
    def codegen(context, builder, signature, args):
        block = _load(context, builder, signature.args[0], args[0], args[1], ir.VectorType(_BYTE, 64))
        quote = builder.icmp_unsigned("==", block, _splat(0x22, 64))
        slash = builder.icmp_unsigned("==", block, _splat(0x5C, 64))
        return builder.bitcast(builder.or_(quote, slash), _WORD)

    return types.uint64(buf, types.int64), codegen


@overload(string_marks64)
def _string_marks64_compiled(buf, at):
    if _bytes_array(buf):
        return lambda buf, at: _string_marks64(buf, at)
    return None


def differs32(buf, at, words, masks, index):
    """Whether the 32 bytes from `at` differ from four uint64 of `words` from `index` in a bit set in `masks`."""
    return any((load64(buf, at + 8 * i) ^ words[index + i]) & masks[index + i] for i in range(4))


@intrinsic
def _differs32(typingctx, buf, at, words, masks, index):
    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_WORD, 4)
        text = _load(context, builder, signature.args[0], args[0], args[1], kind)
        word = _load(context, builder, signature.args[2], args[2], args[4], kind)
        mask = _load(context, builder, signature.args[3], args[3], args[4], kind)
        wrong = builder.and_(builder.xor(text, word), mask)
        wide = builder.bitcast(wrong, ir.IntType(256))
        return builder.icmp_unsigned("!=", wide, ir.Constant(ir.IntType(256), 0))

    return types.boolean(buf, types.int64, words, masks, types.int64), codegen


@overload(differs32)
def _differs32_compiled(buf, at, words, masks, index):
    if _bytes_array(buf):
        return lambda buf, at, words, masks, index: _differs32(buf, at, words, masks, index)
    return None


def newlines64(buf, at):
    """Bit i is set when buf[at + i] is a line feed."""
    return np.uint64(sum(1 << i for i in range(64) if buf[at + i] == 0x0A))


def controls64(buf, at):
    """Bit i is set when buf[at + i] is below 0x20, line feeds included."""
    return np.uint64(sum(1 << i for i in range(64) if buf[at + i] < 0x20))


def high64(buf, at):
    """Bit i is set when buf[at + i] is not ASCII."""
    return np.uint64(sum(1 << i for i in range(64) if buf[at + i] >= 0x80))


def _mask64(operator, constant):
    """An intrinsic that compares 64 bytes with a constant, unsigned, and returns the lanes where it holds as bits."""

    @intrinsic
    def compare(typingctx, buf, at):
        def codegen(context, builder, signature, args):
            block = _load(context, builder, signature.args[0], args[0], args[1], ir.VectorType(_BYTE, 64))
            return builder.bitcast(builder.icmp_unsigned(operator, block, _splat(constant, 64)), _WORD)

        return types.uint64(buf, types.int64), codegen

    return compare


_newlines64 = _mask64("==", 0x0A)
_controls64 = _mask64("<", 0x20)
_high64 = _mask64(">=", 0x80)


@overload(newlines64)
def _newlines64_compiled(buf, at):
    return (lambda buf, at: _newlines64(buf, at)) if _bytes_array(buf) else None


@overload(controls64)
def _controls64_compiled(buf, at):
    return (lambda buf, at: _controls64(buf, at)) if _bytes_array(buf) else None


@overload(high64)
def _high64_compiled(buf, at):
    return (lambda buf, at: _high64(buf, at)) if _bytes_array(buf) else None


def equal64(buf, at, byte):
    """Bit i is set when buf[at + i] == byte."""
    return np.uint64(sum(1 << i for i in range(64) if buf[at + i] == byte))


def above64(buf, at, byte):
    """Bit i is set when buf[at + i] > byte."""
    return np.uint64(sum(1 << i for i in range(64) if buf[at + i] > byte))


def _mask64_of(operator):
    """As `_mask64`, with a byte that is not known beforehand."""

    @intrinsic
    def compare(typingctx, buf, at, byte):
        def codegen(context, builder, signature, args):
            kind = ir.VectorType(_BYTE, 64)
            block = _load(context, builder, signature.args[0], args[0], args[1], kind)
            first = builder.insert_element(ir.Constant(kind, ir.Undefined), args[2], ir.IntType(32)(0))
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
            splat = builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), lanes)
            return builder.bitcast(builder.icmp_unsigned(operator, block, splat), _WORD)

        return types.uint64(buf, types.int64, types.uint8), codegen

    return compare


_equal64, _above64 = _mask64_of("=="), _mask64_of(">")


@overload(equal64)
def _equal64_compiled(buf, at, byte):
    return (lambda buf, at, byte: _equal64(buf, at, byte)) if _bytes_array(buf) else None


@overload(above64)
def _above64_compiled(buf, at, byte):
    return (lambda buf, at, byte: _above64(buf, at, byte)) if _bytes_array(buf) else None


def ones(word):
    """How many bits of a uint64 are set, as int64."""
    return np.int64(int(word).bit_count())


@intrinsic
def _ones(typingctx, word):
    return types.int64(types.uint64), lambda _c, builder, _s, args: builder.ctpop(args[0])


@overload(ones)
def _ones_compiled(word):
    return (lambda word: _ones(word)) if word == types.uint64 else None


def utf8_faults64(buf, at):
    """Bit i is set when buf[at + i] cannot follow the three bytes before it in UTF-8. Needs at >= 3.

    No bit is set in a valid text; in an invalid one at least one bit is set, at most three bytes after the start of
    the ill-formed sequence. The rules are the rows of Table 3-7 of the Unicode Standard, each as a comparison of a
    byte with the ones before it, so that 64 bytes need no table look-up and no shuffle.
    """
    mask = 0
    for i in range(64):
        b, p1, p2, p3 = (int(buf[at + i - k]) for k in range(4))
        follows = p1 >= 0xC0 or p2 >= 0xE0 or p3 >= 0xF0
        fault = (0x80 <= b < 0xC0) != follows
        fault = fault or b == 0xC0 or b == 0xC1 or b > 0xF4
        fault = fault or (p1 == 0xE0 and b < 0xA0) or (p1 == 0xED and b >= 0xA0)
        fault = fault or (p1 == 0xF0 and b < 0x90) or (p1 == 0xF4 and b >= 0x90)
        if fault:
            mask |= 1 << i
    return np.uint64(mask)


@intrinsic
def _utf8_faults64(typingctx, buf, at):
    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_BYTE, 64)
        here = [
            _load(context, builder, signature.args[0], args[0], builder.sub(args[1], ir.Constant(_WORD, k)), kind)
            for k in range(4)
        ]

        def is_(operator, block, constant):
            return builder.icmp_unsigned(operator, block, _splat(constant, 64))

        def pair(lead, operator, constant):
            return builder.and_(is_("==", here[1], lead), is_(operator, here[0], constant))

        follows = builder.or_(builder.or_(is_(">=", here[1], 0xC0), is_(">=", here[2], 0xE0)), is_(">=", here[3], 0xF0))
        continuation = builder.and_(is_(">=", here[0], 0x80), is_("<", here[0], 0xC0))
        fault = builder.xor(continuation, follows)
        for term in (
            is_("==", here[0], 0xC0),
            is_("==", here[0], 0xC1),
            is_(">", here[0], 0xF4),
            pair(0xE0, "<", 0xA0),
            pair(0xED, ">=", 0xA0),
            pair(0xF0, "<", 0x90),
            pair(0xF4, ">=", 0x90),
        ):
            fault = builder.or_(fault, term)
        return builder.bitcast(fault, _WORD)

    return types.uint64(buf, types.int64), codegen


@overload(utf8_faults64)
def _utf8_faults64_compiled(buf, at):
    return (lambda buf, at: _utf8_faults64(buf, at)) if _bytes_array(buf) else None


def trailing_zeros(word):
    """The index of the lowest set bit of a uint64, as int64; 64 when there is none."""
    word = int(word)
    return np.int64((word & -word).bit_length() - 1 if word else 64)


def leading_zeros(word):
    """How many bits above the highest set bit of a uint64 are zero, as int64; 64 when none is set."""
    return np.int64(64 - int(word).bit_length())


@intrinsic
def _trailing_zeros(typingctx, word):
    return types.int64(types.uint64), lambda _c, builder, _s, args: builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))


@intrinsic
def _leading_zeros(typingctx, word):
    return types.int64(types.uint64), lambda _c, builder, _s, args: builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))


@overload(trailing_zeros)
def _trailing_zeros_compiled(word):
    return (lambda word: _trailing_zeros(word)) if word == types.uint64 else None


@overload(leading_zeros)
def _leading_zeros_compiled(word):
    return (lambda word: _leading_zeros(word)) if word == types.uint64 else None


def most_significant_first(word):
    """A uint64 with its bytes in the opposite order."""
    return np.uint64(int.from_bytes(int(word).to_bytes(8, "little"), "big"))


@intrinsic
def _most_significant_first(typingctx, word):
    return types.uint64(types.uint64), lambda _c, builder, _s, args: builder.bswap(args[0])


@overload(most_significant_first)
def _most_significant_first_compiled(word):
    return (lambda word: _most_significant_first(word)) if word == types.uint64 else None


def multiply(a, b):
    """The low 64 bits of the product of two uint64: wrap-around is meant."""
    return np.uint64(int(a) * int(b) & _MASK64)


def multiply_high(a, b):
    """The high 64 bits of the product of two uint64."""
    return np.uint64(int(a) * int(b) >> 64)


def add(a, b):
    """The low 64 bits of the sum of two uint64: wrap-around is meant."""
    return np.uint64((int(a) + int(b)) & _MASK64)


def subtract(a, b):
    """The low 64 bits of the difference of two uint64: wrap-around is meant."""
    return np.uint64((int(a) - int(b)) & _MASK64)


@intrinsic
def _multiply_high(typingctx, a, b):
    def codegen(context, builder, signature, args):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), _WORD)

    return types.uint64(types.uint64, types.uint64), codegen


def _both_words(a, b):
    return a == types.uint64 and b == types.uint64


@overload(multiply)
def _multiply_compiled(a, b):
    return (lambda a, b: a * b) if _both_words(a, b) else None


@overload(multiply_high)
def _multiply_high_compiled(a, b):
    return (lambda a, b: _multiply_high(a, b)) if _both_words(a, b) else None


@overload(add)
def _add_compiled(a, b):
    return (lambda a, b: a + b) if _both_words(a, b) else None


@overload(subtract)
def _subtract_compiled(a, b):
    return (lambda a, b: a - b) if _both_words(a, b) else None
