"""SQL expressions over one tagged DynamoDB value as ClickHouse cuts it out of a record: `{"N":"26"}`.

They are what the decode kernels do, said in ClickHouse's functions. None of them throws on any input, because an
exception in a view fails the whole insert; what cannot be decoded becomes a status that the caller must look at.

A function here takes and gives back SQL text. Where it says *name*, the argument must be the name of a column or of a
lambda's variable, because it stands in the result several times; `Expressions.let` gives an expression a name. Every
variable has a name of its own: ClickHouse confuses equal names in nested lambdas (code 49).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformer.schema.expression import quote_string

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NONE = """('', '{"NULL":true}')"""
"""What a missing and a NULL value look like: `x IN {NONE}`."""

BAD, GOOD, NULL = 0, 1, 2
"""Statuses of a value on its way into a column."""

TOO_DEEP, INVALID = "char(1)", "char(2)"
"""Stand in texts for what the converter cannot write; no JSON text holds these characters unescaped."""

_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?"
_LISTS = ("SS", "NS", "BS")


class Expressions:
    """Makes expressions of one statement.

    prefix: the beginning of every name that is made here; no column that the statement sees may begin with it.
    twice: whether binaries are base64 of base64, as in the records of a stream, or base64 once, as in exports.
    """

    def __init__(self, prefix: str = "v_", *, twice: bool = True) -> None:
        self.prefix = prefix
        self._twice = twice
        self._names = 0

    def name(self) -> str:
        """A name that was not given before."""
        self._names += 1
        return f"{self.prefix}{self._names}"

    def let(self, values: Sequence[str], body: Callable[..., str]) -> str:
        """What `body` makes of the names that it is given for `values`; each value is computed once."""
        names = [self.name() for _ in values]
        arrays = ", ".join(f"[{value}]" for value in values)
        return f"arrayElement(arrayMap({_variables(names)} -> {body(*names)}, {arrays}), 1)"

    def each(self, arrays: Sequence[str], body: Callable[..., str], function: str = "arrayMap") -> str:
        """`body` for the elements of arrays of one length."""
        names = [self.name() for _ in arrays]
        return f"{function}({_variables(names)} -> {body(*names)}, {', '.join(arrays)})"

    def plain(self, text: str) -> str:
        """The canonical text of a number. text: name of a text that is a number."""

        def parts(sign: str, digits: str, scale: str) -> str:
            whole = (
                f"multiIf({scale} <= 0, concat({digits}, repeat('0', -{scale})), length({digits}) > {scale}, "
                f"substring({digits}, 1, length({digits}) - {scale}), '0')"
            )
            fraction = (
                f"multiIf({scale} <= 0, '', length({digits}) > {scale}, "
                f"substring({digits}, length({digits}) - {scale} + 1), "
                f"concat(repeat('0', {scale} - length({digits})), {digits}))"
            )
            joined = self.let(
                [f"replaceRegexpOne({fraction}, '0+$', '')"],
                lambda rest: f"concat({sign}, {whole}, if({rest} = '', '', concat('.', {rest})))",
            )
            return f"if({digits} = '', '0', {joined})"

        slow = self.let(
            [
                f"if(startsWith({text}, '-'), '-', '')",
                f"replaceRegexpOne(replaceAll(extract({text}, '^-?([0-9.]+)'), '.', ''), '^0+', '')",
                f"toInt32(length(extract({text}, '\\\\.([0-9]+)'))) - toInt32OrZero(extract({text}, '[eE](.*)$'))",
            ],
            parts,
        )
        return f"if(match({text}, '^(0|-?[1-9][0-9]{{0,17}})$'), {text}, {slow})"

    def number(self, value: str) -> str:
        """The plain text of the number in an N, or in an S that is written exactly so; `null` where there is none,
        nothing where the value is another. value: name."""
        plain = self.let(
            [inside(value)],
            lambda text: self.let(
                [self.plain(text)], lambda n: f"if(startsWith({value}, '{{\"S\"') AND {n} != {text}, '', {n})"
            ),
        )
        pattern = quote_string(rf'^\{{"[NS]":"{_NUMBER}"\}}$')
        return f"multiIf({value} IN {NONE}, 'null', match({value}, {pattern}), {plain}, '')"

    def string(self, value: str) -> str:
        """(status, text) of an S. value: name."""
        text = self.let(
            [inside(value)],
            lambda text: (
                f"if(NOT match({text}, '[\"\\\\\\\\]'), ({GOOD}, {text}), "
                f"if({one_tag(value)}, ({GOOD}, JSONExtractString({value}, 'S')), ({BAD}, '')))"
            ),
        )
        return f"multiIf({value} IN {NONE}, ({NULL}, ''), startsWith({value}, '{{\"S\":\"'), {text}, ({BAD}, ''))"

    def binary(self, value: str) -> str:
        """(status, base64 text, bytes) of a B. value: name."""

        def check(given: str, text: str) -> str:
            again = f"base64Encode({text}) = {given} AND " if self._twice else ""
            return self.let(
                [f"tryBase64Decode({text})"],
                lambda data: f"if({again}base64Encode({data}) = {text}, ({GOOD}, {text}, {data}), ({BAD}, '', ''))",
            )

        def unpacked(given: str) -> str:
            if not self._twice:
                return check(given, given)
            return self.let([f"tryBase64Decode({given})"], lambda text: check(given, text))

        decoded = self.let([inside(value)], unpacked)
        return f"if(startsWith({value}, '{{\"B\":\"'), {decoded}, ({BAD}, '', ''))"

    def elements(self, value: str) -> str:
        """The elements of an L, or of a set as if it were a list, each with its tag; none of anything else.
        value: name."""
        cases = [f"startsWith({value}, '{{\"L\":['), JSONExtractArrayRaw({value}, 'L')"]
        for tag in _LISTS:
            tagged = self.each(
                [f"JSONExtractArrayRaw({value}, '{tag}')"], lambda e, tag=tag: f"concat('{{\"{tag[0]}\":', {e}, '}}')"
            )
            cases.append(f"startsWith({value}, '{{\"{tag}\":['), {tagged}")
        return f"multiIf({', '.join(cases)}, CAST([] AS Array(String)))"

    def quoted(self, text: str) -> str:
        """A text as a JSON string in which only quote, backslash and control characters are escaped. text: name."""
        escaped = text
        for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("\b", "\\b"), ("\f", "\\f"), ("\n", "\\n"),
                                  ("\r", "\\r"), ("\t", "\\t")):  # fmt: skip
            escaped = f"replaceAll({escaped}, {quote_string(character)}, {quote_string(escape)})"
        done, code = self.name(), self.name()
        others = (
            f"arrayFold(({done}, {code}) -> replaceAll({done}, char({code}), "
            f"concat('\\\\u00', lower(hex(char({code}))))), arrayConcat(range(0, 8), [11], range(14, 32)), {escaped})"
        )
        return (
            f"concat('\"', multiIf(NOT match({text}, '[\"\\\\\\\\\\\\x00-\\\\x1f]'), {text}, "
            f"NOT match({text}, '[\\\\x00-\\\\x07\\\\x0b\\\\x0e-\\\\x1f]'), {escaped}, {others}), '\"')"
        )

    def json(self, tags: str, value: str, depth: int) -> str:
        """A value as JSON: canonical DynamoDB JSON where tags is 1, plain JSON where it is 0. Both: names.

        Maps and lists inside one another beyond `depth` leave TOO_DEEP in the text, what is no value leaves INVALID.
        A scalar goes through all levels as a list of one: so each level stands in the statement once, and not twice.
        """
        if depth == 0:
            return self._json_leaf(tags, value)
        is_map, is_list = f'startsWith({value}, \'{{"M":{{"\')', f"startsWith({value}, '{{\"L\":[{{')"
        listed = self.each([f"JSONExtractArrayRaw({value}, 'L')"], lambda element: f"('', {element})")
        entries = (
            f"multiIf({is_map}, arraySort(JSONExtractKeysAndValuesRaw({value}, 'M')), {is_list}, {listed}, "
            f"[('', {value})])"
        )

        names = f"tupleElement({entries}, 1)"
        # Of equal expressions the engine computes one. `let` would cost a lambda a level, and 64 in one another are all
        # that ClickHouse allows.
        body = self.each(
            [names, f"tupleElement({entries}, 2)"],
            lambda name, inner: (
                f"concat(if({is_map}, concat({self.quoted(name)}, ':'), ''), {self.json(tags, inner, depth - 1)})"
            ),
        )
        before = f"multiIf({is_map}, if({tags}, '{{\"M\":{{', '{{'), {is_list}, if({tags}, '{{\"L\":[', '['), '')"
        behind = f"multiIf({is_map}, if({tags}, '}}}}', '}}'), {is_list}, if({tags}, ']}}', ']'), '')"
        return (
            f"if(({is_map} OR {is_list}) AND (NOT {one_tag(value)} OR {is_map} AND {repeats(names)}), "
            f"{INVALID}, concat({before}, arrayStringConcat({body}, ','), {behind}))"
        )

    def _json_leaf(self, tags: str, value: str) -> str:
        """What is no map and no list, except empty ones."""
        text = self.let(
            [f"tupleElement({self.string(value)}, 2)"],
            lambda text: f"concat(if({tags}, '{{\"S\":', ''), {self.quoted(text)}, if({tags}, '}}', ''))",
        )
        number = self.let(
            [self.number(value)],
            lambda n: f"multiIf({n} = '', {INVALID}, {tags}, concat('{{\"N\":\"', {n}, '\"}}'), {n})",
        )
        binary = self.let(
            [self.binary(value)],
            lambda b: (
                f"multiIf(tupleElement({b}, 1) != {GOOD}, {INVALID}, {tags}, "
                f"concat('{{\"B\":\"', tupleElement({b}, 2), '\"}}'), concat('\"', tupleElement({b}, 2), '\"'))"
            ),
        )
        string = f"if(tupleElement({self.string(value)}, 1) = {GOOD}, {text}, {INVALID})"
        constants = "('{\"BOOL\":true}', '{\"BOOL\":false}', '{\"NULL\":true}', '{\"M\":{}}', '{\"L\":[]}')"
        bare = (
            f"multiIf({value} = '{{\"NULL\":true}}', 'null', startsWith({value}, '{{\"BOOL\"'), "
            f"substring({value}, 9, length({value}) - 9), substring({value}, 6, 2))"
        )
        return (
            f'multiIf(startsWith({value}, \'{{"S":"\'), {string}, startsWith({value}, \'{{"N":"\'), {number}, '
            f'{value} IN {constants}, if({tags}, {value}, {bare}), startsWith({value}, \'{{"B":"\'), {binary}, '
            f"match({value}, '^\\\\{{\"[SNB]S\":\\\\['), {self._json_set(tags, value)}, "
            f'match({value}, \'^\\\\{{"(M":\\\\{{|L":\\\\[)\'), {TOO_DEEP}, {INVALID})'
        )

    def _json_set(self, tags: str, value: str) -> str:
        """A set, sorted: texts and plain numbers by their bytes, binaries by the bytes that they stand for."""

        def entry(element: str) -> str:
            string = self.let(
                [self.string(element)],
                lambda s: self.let(
                    [f"tupleElement({s}, 2)"],
                    lambda t: f"({t}, if(tupleElement({s}, 1) = {GOOD}, {self.quoted(t)}, {INVALID}))",
                ),
            )
            number = self.let(
                [self.number(element)],
                lambda n: f"({n}, multiIf({n} = '', {INVALID}, {tags}, concat('\"', {n}, '\"'), {n}))",
            )
            binary = self.let(
                [self.binary(element)],
                lambda b: (
                    f"(tupleElement({b}, 3), if(tupleElement({b}, 1) = {GOOD}, "
                    f"concat('\"', tupleElement({b}, 2), '\"'), {INVALID}))"
                ),
            )
            return (
                f"multiIf(startsWith({element}, '{{\"S'), {string}, startsWith({element}, '{{\"N'), {number}, {binary})"
            )

        entries = self.each([self.elements(value)], entry)
        key = self.name()
        ordered = f"arraySort({key} -> tupleElement({key}, 1), {entries})"
        return (
            f"if(NOT {one_tag(value)}, {INVALID}, concat(if({tags}, substring({value}, 1, 7), '['), "
            f"arrayStringConcat(tupleElement({ordered}, 2), ','), if({tags}, ']}}', ']')))"
        )

    def text(self, value: str, complex_text: str) -> str:
        """(status, text) of what a String column holds of a value. Both: names; complex_text: the JSON text of the
        value where it is a map, list or set, or nothing."""
        number = self.let([self.number(value)], lambda n: f"({n} != '', {n})")
        binary = self.let([self.binary(value)], lambda b: f"(tupleElement({b}, 1), tupleElement({b}, 3))")
        return (
            f"multiIf({value} IN {NONE}, ({NULL}, ''), startsWith({value}, '{{\"S\":'), {self.string(value)}, "
            f"startsWith({value}, '{{\"N\":'), {number}, startsWith({value}, '{{\"B\":'), {binary}, "
            f"{value} IN ('{{\"BOOL\":true}}', '{{\"BOOL\":false}}'), "
            f"({GOOD}, substring({value}, 9, length({value}) - 9)), "
            f"({is_complete(complex_text)}, {complex_text}))"
        )

    def iso8601(self, value: str, precision: int) -> str:
        """(status, ticks Int64) of an S that is an ISO 8601 time with a zone. value: name.

        The days are counted by arithmetic (the calendar repeats every 400 years): ClickHouse's own parsers guess, cut
        digits and clamp years.
        """
        pattern = quote_string(
            r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
        )

        def part(text: str, at: int, length: int) -> str:
            return f"toInt64OrZero(substring({text}, {at}, {length}))"

        def moment(text: str, year: str, month: str, day: str, fraction: str, zone: str) -> str:
            leap = f"({year} % 4 = 0 AND ({year} % 100 != 0 OR {year} % 400 = 0))"
            longest = f"multiIf({month} = 2, 28 + {leap}, {month} IN (4, 6, 9, 11), 30, 31)"
            hour, minute, second = part(text, 12, 2), part(text, 15, 2), part(text, 18, 2)
            zone_hour, zone_minute = part(zone, 2, 2), part(zone, 5, 2)
            shifted = f"({year} - ({month} <= 2))"
            days = (
                f"({shifted} * 365 + intDiv({shifted}, 4) - intDiv({shifted}, 100) + intDiv({shifted}, 400) "
                f"+ intDiv(153 * ({month} + if({month} > 2, -3, 9)) + 2, 5) + {day} - 1 - 719468)"
            )
            offset = f"({zone_hour} * 60 + {zone_minute}) * if(startsWith({zone}, '-'), -60, 60)"
            seconds = f"toInt128((({days} * 24 + {hour}) * 60 + {minute}) * 60 + {second} - ({offset}))"
            digits = f"toInt128OrZero(substring(concat({fraction}, '000000000'), 1, {precision}))"
            ticks = f"{seconds} * {10**precision}" + (f" + {digits}" if precision else "")
            good = (
                f"match({text}, {pattern}) AND {month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND {longest} "
                f"AND {hour} < 24 AND {minute} < 60 AND {second} < 60 AND {zone_hour} < 24 AND {zone_minute} < 60 "
                f"AND NOT match(substring({fraction}, {precision + 1}), '[1-9]')"
            )
            return f"({good}, {ticks})"

        def parsed(text: str) -> str:
            zone = f"if(endsWith({text}, 'Z'), '+00:00', substring({text}, greatest(length({text}), 6) - 5))"
            fraction = f"extract({text}, '\\\\.([0-9]+)')"
            return self.let(
                [part(text, 1, 4), part(text, 6, 2), part(text, 9, 2), fraction, zone],
                lambda year, month, day, fraction, zone: moment(text, year, month, day, fraction, zone),
            )

        return self.let(
            [self.string(value)],
            lambda s: (
                f"if(tupleElement({s}, 1) = {GOOD}, "
                f"{self.let([f'tupleElement({s}, 2)'], parsed)}, (tupleElement({s}, 1), toInt128(0)))"
            ),
        )


def _variables(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def inside(value: str) -> str:
    """What stands between the quotes of `{"S":"..."}`. value: name."""
    return f"substring({value}, 7, length({value}) - 8)"


def one_tag(value: str) -> str:
    """Whether an object has one member only."""
    return f"(length(JSONExtractKeys({value})) = 1)"


def repeats(names: str) -> str:
    """Whether a name stands twice in an array of names. names: may stand twice in the result."""
    return f"(length({names}) != length(arrayDistinct({names})))"


def is_complete(text: str) -> str:
    """Whether `Expressions.json` could write the whole of a value. text: name of its result."""
    return f"({text} != '' AND NOT match({text}, '[\\\\x01\\\\x02]'))"


def is_complex(value: str) -> str:
    """Whether the text of a value needs `Expressions.json`: a map, list or set."""
    return f"match({value}, '^\\\\{{\"(M|L|SS|NS|BS)\":')"
