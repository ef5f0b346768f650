"""The kernels one by one, against Python's own arithmetic and codecs, and the primitives against their definitions."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

import numba
import numpy as np
import pytest
from decode_strategies import double_texts, number_texts
from hypothesis import example, given
from hypothesis import strategies as st

from transformer.decode.kernels import (
    columns,
    dates,
    digits,
    floats,
    grammar,
    lines,
    numbers,
    order,
    primitives,
    render,
    strings,
    typed,
)
from transformer.decode.kernels import texts as text_kernels
from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.primitives import PADDING

pytestmark = pytest.mark.kernel

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
BOUNDS = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")
EXACT = Context(prec=5000, Emax=999_999, Emin=-999_999)


def padded(data: bytes) -> np.ndarray:
    return np.frombuffer(data + bytes(PADDING), np.uint8).copy()


def plain(text: str) -> str:
    value = Decimal(text)
    return format(EXACT.normalize(value), "f") if value else "0"


if COMPILED:
    # A primitive is called from Python as its definition; wrapped in a kernel it is the machine version.
    @kernel("uint64(uint8[::1], int64)")
    def machine_load64(buf, at):
        return primitives.load64(buf, at)

    @kernel("uint64(uint8[::1], int64)")
    def machine_string_marks32(buf, at):
        return primitives.string_marks32(buf, at)

    @kernel("uint64(uint8[::1], int64)")
    def machine_string_marks64(buf, at):
        return primitives.string_marks64(buf, at)

    @kernel("boolean(uint8[::1], int64, uint64[::1], uint64[::1], int64)")
    def machine_differs32(buf, at, words, masks, index):
        return primitives.differs32(buf, at, words, masks, index)

    @kernel("uint64(uint8[::1], int64, uint8)")
    def machine_equal64(buf, at, byte):
        return primitives.equal64(buf, at, byte)

    @kernel("uint64(uint8[::1], int64, uint8)")
    def machine_above64(buf, at, byte):
        return primitives.above64(buf, at, byte)

    @kernel("int64(uint64)")
    def machine_ones(word):
        return primitives.ones(word)

    @kernel("uint64(uint64)")
    def machine_most_significant_first(word):
        return primitives.most_significant_first(word)

    @kernel("uint64(uint8[::1], int64)")
    def machine_newlines64(buf, at):
        return primitives.newlines64(buf, at)

    @kernel("uint64(uint8[::1], int64)")
    def machine_controls64(buf, at):
        return primitives.controls64(buf, at)

    @kernel("uint64(uint8[::1], int64)")
    def machine_high64(buf, at):
        return primitives.high64(buf, at)

    @kernel("uint64(uint8[::1], int64)")
    def machine_utf8_faults64(buf, at):
        return primitives.utf8_faults64(buf, at)

    @kernel("int64(uint64)")
    def machine_trailing_zeros(word):
        return primitives.trailing_zeros(word)

    @kernel("int64(uint64)")
    def machine_leading_zeros(word):
        return primitives.leading_zeros(word)

    @kernel("uint64(uint64, uint64)")
    def machine_multiply(a, b):
        return primitives.multiply(a, b)

    @kernel("uint64(uint64, uint64)")
    def machine_multiply_high(a, b):
        return primitives.multiply_high(a, b)

    @kernel("uint64(uint64, uint64)")
    def machine_add(a, b):
        return primitives.add(a, b)

    @kernel("uint64(uint64, uint64)")
    def machine_subtract(a, b):
        return primitives.subtract(a, b)

    @kernel("void(uint8[::1], int64, uint64)")
    def machine_store64(buf, at, word):
        primitives.store64(buf, at, word)

    @kernel("void(uint8[::1], int64, uint8[::1], int64)")
    def machine_copy32(target, to, source, at):
        primitives.copy32(target, to, source, at)

    SCANS = [
        (machine_load64, primitives.load64),
        (machine_string_marks32, primitives.string_marks32),
        (machine_string_marks64, primitives.string_marks64),
        (machine_newlines64, primitives.newlines64),
        (machine_controls64, primitives.controls64),
        (machine_high64, primitives.high64),
        (machine_utf8_faults64, primitives.utf8_faults64),
    ]
    WORDS = [
        (machine_multiply, primitives.multiply),
        (machine_multiply_high, primitives.multiply_high),
        (machine_add, primitives.add),
        (machine_subtract, primitives.subtract),
    ]

    UTF8_EDGES = b"\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xed\xef\xf0\xf4\xf5\xff"
    SPECIAL = st.sampled_from(list(b'"\\\n\x00\x1f\x20A' + UTF8_EDGES))

    @pytest.mark.parametrize(("machine", "definition"), SCANS, ids=lambda f: getattr(f, "__name__", ""))
    @given(st.lists(SPECIAL, min_size=134, max_size=134), st.integers(3, 70))
    def test_scans_do_what_their_definitions_say(machine, definition, data, at):
        buffer = np.array(data, np.uint8)
        assert machine(buffer, at) == definition(buffer, at)

    @pytest.mark.parametrize(("machine", "definition"), SCANS, ids=lambda f: getattr(f, "__name__", ""))
    def test_scans_see_every_lane(machine, definition):
        for lane in range(64):
            for byte in b'"\\\n\x1f\x80\xff':
                buffer = np.full(140, 0x41, np.uint8)
                buffer[5 + lane] = byte
                assert machine(buffer, 5) == definition(buffer, 5)

    @given(st.lists(st.integers(0, 12), min_size=70, max_size=70), st.integers(0, 5), st.integers(0, 12))
    def test_compares_with_any_byte_do_what_their_definitions_say(data, at, byte):
        buffer = np.array(data, np.uint8)
        for machine, definition in (
            (machine_equal64, primitives.equal64),
            (machine_above64, primitives.above64),
        ):
            assert machine(buffer, at, np.uint8(byte)) == definition(buffer, at, np.uint8(byte))

    @given(st.integers(0, 31), st.integers(0, 255), st.integers(0, 255), st.integers(0, 9))
    def test_masked_compares_see_every_byte(lane, change, mask, at):
        buffer = np.arange(50, dtype=np.uint8)
        words = np.zeros(5, np.uint64)
        words.view(np.uint8)[8:] = buffer[at : at + 32]
        masks = np.full(5, 2**64 - 1, np.uint64)
        masks.view(np.uint8)[8 + lane] = mask
        buffer[at + lane] ^= change
        differs = machine_differs32(buffer, at, words, masks, 1)
        assert differs == primitives.differs32(buffer, at, words, masks, 1) == (change & mask != 0)

    def test_kernels_do_not_let_indices_count_from_the_end():
        """The switch of `compiler` works with this version of numba, and is off again afterwards."""

        def last(array, at):
            return array[at]

        part = np.array([7, 8, 9], np.uint8)[1:]
        if not BOUNDS:
            assert kernel("uint8(uint8[::1], int64)")(last)(part, -1) == 7
        assert numba.njit("uint8(uint8[::1], int64)")(last)(part, -1) == 9

    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
    def test_word_arithmetic_does_what_its_definitions_say(a, b):
        one, other = np.uint64(a), np.uint64(b)
        for machine, definition in WORDS:
            assert machine(one, other) == definition(one, other)
        assert machine_trailing_zeros(one) == primitives.trailing_zeros(one)
        assert machine_leading_zeros(one) == primitives.leading_zeros(one)
        assert machine_ones(one) == primitives.ones(one)
        assert machine_most_significant_first(one) == primitives.most_significant_first(one)

    @given(st.integers(0, 2**64 - 1), st.integers(0, 20), st.integers(0, 20))
    def test_stores_and_copies_do_what_their_definitions_say(word, to, at):
        source = np.arange(100, dtype=np.uint8)
        one, other = np.zeros(100, np.uint8), np.zeros(100, np.uint8)
        machine_store64(one, to, np.uint64(word))
        primitives.store64(other, to, np.uint64(word))
        machine_copy32(one, to + 10, source, at)
        primitives.copy32(other, to + 10, source, at)
        assert (one == other).all()


@given(number_texts())
def test_plain_notation_is_that_of_decimal(text):
    out = np.zeros(len(text) + 1200, np.uint8)
    end = numbers.write_plain(padded(text.encode()), 0, len(text), out, 0, np.zeros(6, np.int64))
    is_number = typed.is_number(padded(text.encode()), 0, len(text))
    assert is_number == (end >= 0)
    if is_number:
        written = out[:end].tobytes().decode()
        assert written == plain(text)
        assert numbers.is_plain(padded(text.encode()), 0, len(text)) == (written == text)
    else:
        assert not numbers.is_plain(padded(text.encode()), 0, len(text))


@given(number_texts(), st.integers(-9, 76))
def test_scaled_integers_are_those_of_decimal(text, scale):
    parts, limbs = np.zeros(6, np.int64), np.zeros(4, np.uint64)
    code = numbers.scaled(padded(text.encode()), 0, len(text), scale, parts, limbs)
    if not typed.is_number(padded(text.encode()), 0, len(text)):
        assert code == numbers.BAD_NUMBER
        return
    value = EXACT.scaleb(Decimal(text), scale)
    whole = int(value) if value.copy_abs() < Decimal(10) ** 2000 else None
    if whole is not None and value != whole:
        assert code == numbers.INEXACT
    elif whole is None or abs(whole) >= 1 << 256:
        assert code == numbers.OUT_OF_RANGE
    else:
        assert code == 0
        magnitude = sum(int(limb) << (64 * i) for i, limb in enumerate(limbs))
        assert (-magnitude if parts[numbers.NEGATIVE] else magnitude) == whole
        numbers.negate(limbs)
        assert sum(int(limb) << (64 * i) for i, limb in enumerate(limbs)) == -magnitude % (1 << 256)


@given(st.one_of(number_texts(), double_texts()))
def test_doubles_are_the_nearest(text):
    out = np.full(1, 7.0)
    code = floats.write_float(padded(text.encode()), 0, len(text), np.zeros(6, np.int64), out, 0)
    if not typed.is_number(padded(text.encode()), 0, len(text)):
        assert code == floats.BAD_NUMBER
    elif code == floats.UNDECIDED:
        assert len(text) > 19
    elif math.isinf(float(text)):
        assert code == floats.OUT_OF_RANGE
    else:
        assert code == 0
        assert out[0] == float(text)
        assert math.copysign(1, out[0]) == (math.copysign(1, float(text)) if float(text) else 1)


@given(st.binary(max_size=40))
def test_base64_is_that_of_the_standard_library(data):
    text = base64.b64encode(data)
    out = np.zeros(100, np.uint8)
    assert typed.is_base64(padded(text), 0, len(text))
    assert out[: text_kernels.decode_base64(padded(text), 0, len(text), out, 0)].tobytes() == data


@given(st.text(alphabet="AQ=+/_- \\", max_size=9))
def test_what_is_no_canonical_base64_is_refused(text):
    try:
        canonical = base64.b64encode(base64.b64decode(text, validate=True)) == text.encode()
    except ValueError:
        canonical = False
    assert typed.is_base64(padded(text.encode()), 0, len(text)) == canonical


@given(st.text(max_size=60), st.booleans())
def test_strings_are_unescaped_and_escaped_canonically(text, ascii_only):
    content = json.dumps(text, ensure_ascii=ascii_only).encode()[1:-1]
    buffer = padded(content + b'"')
    assert strings.string_end(buffer, 0, len(content) + 1) == len(content)
    out = np.zeros(len(content) + 64, np.uint8)
    assert out[: strings.unescape(buffer, 0, len(content), out, 0)].tobytes() == text.encode()
    canonical = json.dumps(text, ensure_ascii=False).encode()[1:-1]
    assert out[: strings.canonical_content(buffer, 0, len(content), out, 0)].tobytes() == canonical


@given(st.binary(max_size=80))
def test_ill_formed_utf8_is_found_where_python_finds_it(data):
    buffer = padded(b"abc" + data)
    wanted = -1
    try:
        data.decode()
    except UnicodeDecodeError as error:
        wanted = 3 + error.start
    assert grammar.utf8_fault(buffer, 3, len(data) + 3) == wanted


LINE_BYTES = st.lists(st.sampled_from(list(b'\n\n\n \t\r{}"a\x00\xc3\xa9\xff\xf0\x9f\x98\x80')), max_size=200).map(
    bytes
)


@example(b"\xff\n\n\x9f\n", 2, 4, 3)  # the lead byte of an earlier line must not excuse this continuation
@given(LINE_BYTES, st.integers(1, 9), st.integers(1, 120), st.integers(0, 70))
def test_the_line_table_holds_every_line_that_is_not_blank(data, most, size, before):
    whole = b"\n" * before + data
    starts, ends, at_line = (np.zeros(most, np.int32) for _ in range(3))
    odd = np.zeros(most, np.uint8)
    result = np.zeros(2, np.int64)
    found = lines.index_lines(
        padded(whole), before, len(whole), starts, ends, at_line, odd, most, size, result
    )  # fmt: skip
    expected, position, number = [], before, 0
    for line in whole[before:].split(b"\n"):
        if len(expected) == most or position - before >= size or position >= len(whole):
            break
        if line.strip(b" \t\r"):
            expected.append((position, position + len(line), number, line))
        position = min(position + len(line) + 1, len(whole))
        number += 1
    assert (result[lines.SIZE], result[lines.LINES]) == (position - before, number)
    assert found == len(expected)
    for i, (start, end, line_number, line) in enumerate(expected):
        assert (starts[i], ends[i], at_line[i]) == (start, end, line_number)
        if not odd[i]:
            line.decode()
            assert not any(byte < 0x20 for byte in line)


@given(st.lists(st.text(max_size=6), max_size=40))
def test_names_sort_by_the_bytes_they_stand_for(names):
    members = np.zeros((len(names) + 1, order.MEMBER_WIDTH), np.int32)
    text = b""
    for i, name in enumerate(names):
        content = json.dumps(name, ensure_ascii=False).encode()[1:-1]
        members[i, : order.M_VALUE + 1] = len(text), len(content), i
        text += content + b'"'
    order.sort_members(padded(text), members, 0, len(names), order.BY_TEXT)
    assert [names[i] for i in members[: len(names), order.M_VALUE]] == sorted(names, key=str.encode)


@given(st.lists(st.binary(max_size=5), max_size=20))
def test_base64_sorts_by_the_bytes_it_decodes_to(parts):
    members = np.zeros((len(parts) + 1, order.MEMBER_WIDTH), np.int32)
    text = b""
    for i, part in enumerate(parts):
        content = base64.b64encode(part)
        members[i, : order.M_VALUE + 1] = len(text), len(content), i
        text += content + b'"'
    order.sort_members(padded(text), members, 0, len(parts), order.BY_BASE64)
    assert [parts[i] for i in members[: len(parts), order.M_VALUE]] == sorted(parts)


@given(st.lists(st.sampled_from(range(13)), max_size=30), st.integers(0, (1 << 13) - 1), st.booleans())
def test_surveys_and_offsets_follow_the_tags(tags, allowed, required):
    tag = np.array([*tags, 0], np.uint8)
    extent = np.arange(len(tag), dtype=np.int32)
    bitmap = np.zeros(len(tags) // 8 + 1, np.uint8)
    faults = np.zeros((len(tag), columns.FAULT_WIDTH), np.int32)
    result = np.zeros(columns.SURVEY_SIZE, np.int64)
    found = columns.survey(extent, tag, 0, len(tags), allowed, required, 52, bitmap, faults, result)
    expected = [
        (i, 52 if held > 1 else 50 + held)
        for i, held in enumerate(tags)
        if (held > 1 and not allowed >> held & 1) or (held <= 1 and required)
    ]
    assert [tuple(row) for row in faults[:found].tolist()] == expected
    bits = np.unpackbits(bitmap, bitorder="little")[: len(tags)]
    assert bits.tolist() == [int(held > 1) for held in tags]
    assert result[columns.NULLS] == sum(held <= 1 for held in tags)
    assert result[columns.TOTAL_LENGTH] == sum(i for i, held in enumerate(tags) if held > 1)
    assert result[columns.LONGEST_ESCAPED] == max((i for i, held in enumerate(tags) if held == 3), default=0)
    offsets = np.zeros(len(tags) + 1, np.int32)
    total = columns.write_offsets(extent, tag, 0, len(tags), 1 << 9, offsets)
    assert total == offsets[-1] == sum(i for i, held in enumerate(tags) if held == 9)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60, unique=True))
def test_name_tables_know_what_was_entered(keys):
    names = [f"{key:x}".encode() for key in keys]
    text = padded(b"".join(names + names))
    owners, places, lengths = np.zeros(256, np.int64), np.zeros(256, np.int32), np.zeros(256, np.int32)
    state = np.zeros(16, np.int64)
    at = 0
    for wanted, instance in ((0, 1), (1, 1), (0, 2)):
        at = 0
        for name in names:
            assert typed.enter_name(text, at, len(name), instance, owners, places, lengths, state) == wanted
            at += len(name)


def test_no_kernel_relaxes_floating_point():
    """fastmath would let the compiler change what a number means."""
    if COMPILED:
        from transformer.decode.kernels.compiler import KERNELS

        assert len(KERNELS) > 40
        assert not any(compiled.targetoptions.get("fastmath") for compiled in KERNELS)
        assert all(compiled.targetoptions["nogil"] for compiled in KERNELS)


def test_rendering_says_when_it_has_no_room():
    value = padded(b'{"M":{"a":{"N":"1e999"}}}')
    scratch = (np.zeros((8, 3), np.int32), 0, np.zeros(64, np.uint8))
    drops = (np.zeros((0, 4), np.int64), np.zeros(64, np.uint8), np.zeros(6, np.int64))
    for room in (10, 1000):
        assert render.render(value, 0, 0, True, -1, np.zeros(room, np.uint8), 0, *scratch, *drops) == -1
    out = np.zeros(4000, np.uint8)
    end = render.render(value, 0, 0, True, -1, out, 0, *scratch, *drops)
    assert out[:end].tobytes() == b'{"M":{"a":{"N":"1' + b"0" * 999 + b'"}}}'


ISO8601 = (
    r"(?P<year>[0-9]{4})-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
ISO_TEXTS = st.one_of(
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat().replace("+00:00", "Z")),
    st.from_regex(ISO8601, fullmatch=True, alphabet=st.characters(codec="ascii")),
    st.text(alphabet="0123456789-:TZ.+", max_size=36),
)


@given(ISO_TEXTS)
def test_instants_are_those_of_datetime(text):
    parts = np.zeros(2, np.int64)
    fits = dates.read_instant(padded(text.encode()), 0, len(text), parts)
    matched = re.fullmatch(ISO8601, text)
    moment = None
    if matched and int(matched["year"]) > 0:
        fraction = matched["fraction"] or ""
        bare = text.replace(f".{fraction}", "") if fraction else text
        try:
            moment = datetime.fromisoformat(bare)
        except ValueError:
            moment = None
        assert fits == (moment is not None)
    if fits and moment is not None:
        away = moment.utcoffset() or timedelta()
        naive = moment.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001 - years 1 and 9999 leave no room for a shift
        assert parts[0] == naive.days * 86400 + naive.seconds - away.days * 86400 - away.seconds
        assert parts[1] == int(fraction.ljust(9, "0"))
    if matched is None:
        assert not fits


@given(
    st.one_of(st.uuids().map(str), st.uuids().map(lambda u: str(u).upper()), st.text("0123456789abcXF-", max_size=37))
)
def test_uuids_are_those_of_the_standard_library(text):
    out = np.zeros(16, np.uint8)
    fits = dates.read_uuid(padded(text.encode()), 0, len(text), out, 0)
    grammar_fits = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None
    assert fits == grammar_fits
    if fits:
        assert out.tobytes() == uuid.UUID(text).bytes


SHORT_NUMBERS = st.one_of(
    st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,10})?", fullmatch=True),
    st.from_regex(r"[0-9.]{1,18}", fullmatch=True),
    st.from_regex(r"[0-9]{1,9}[0-9eE+.-]{1,5}", fullmatch=True),
)


@given(SHORT_NUMBERS, st.integers(-3, 20))
def test_short_numbers_are_those_of_decimal_or_left_to_others(text, scale):
    """The quick way says nothing of a number that it does not take; what it takes, it takes exactly."""
    data = padded(text.encode())
    parts = digits.short_parts(data, 0, len(text))
    if parts >= 0:
        whole, _, fraction = text.partition(".")
        assert re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]+)?", text)
        assert (parts >> 5, parts & 31) == (int(whole + fraction), len(fraction))
    elif re.fullmatch(r"(0|[1-9][0-9]{0,7})(\.[0-9]{1,8})?|[1-9][0-9]{0,15}", text):
        pytest.fail("usual numbers are taken")
    value = digits.short_scaled(data, 0, len(text), scale)
    if value >= 0:
        assert value == Decimal(text).scaleb(scale, EXACT)


@given(
    st.lists(st.sampled_from([0, 1, 2, 4, 4, 4]), max_size=140),
    st.sampled_from([1 << 4, 1 << 2 | 1 << 4]),
    st.booleans(),
)
def test_looking_over_tags_is_surveying_them_where_nothing_is_wrong(tags, allowed, required):
    held = np.array([*tags, *[9] * 70], np.uint8)
    lengths = np.zeros(len(held), np.int32)
    bitmap, quick = np.zeros(40, np.uint8), np.zeros(40, np.uint8)
    rows, result = np.zeros((200, columns.FAULT_WIDTH), np.int32), np.zeros(columns.SURVEY_SIZE, np.int64)
    wrong = columns.survey(lengths, held, 0, len(tags), allowed, required, 1, bitmap, rows, result)
    nulls = columns.look_over(held, 0, len(tags), allowed, required, quick, 0)
    used = (len(tags) + 7) // 8
    if nulls >= 0:
        assert wrong == 0
        assert nulls == result[columns.NULLS]
        assert (quick[:used] == bitmap[:used]).all()
    elif len(tags) <= 64 and len(set(tags) - {0, 1}) < 2:
        assert wrong > 0
