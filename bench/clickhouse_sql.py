"""SQL with which ClickHouse reads DynamoDB JSON by itself: the single pass's typed Tuple, the guide's JSONExtract."""

from __future__ import annotations

from bench.forms import JSON_TEXT, Form
from transformer.schema import types
from transformer.schema.expression import quote_identifier, quote_string
from transformer.schema.table import Convert, Table

SINGLE_PASS = ("column", "extract")
"""The two spellings of a single pass: `Item` read as a column of a typed Tuple, or as text given to one JSONExtract."""

SINGLE_PASS_SETTINGS = {
    "input_format_json_ignore_unknown_keys_in_named_tuple": 1,
    "input_format_json_read_objects_as_strings": 1,
    "input_format_parallel_parsing": 0,  # costs a tenth to a quarter more CPU
    # Reading each member as a subcolumn parsed 200 columns at half the speed, 35 at nine tenths of it.
    "optimize_functions_to_subcolumns": 0,
    # Compiling hundreds of aggregates takes longer than running them over an input of this size.
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
}
"""Of several that were tried, those that make the engine's single pass cheapest. Larger blocks, larger read buffers and
mmap changed nothing."""


def settings(**values: int | str) -> str:
    """A SETTINGS clause."""
    return "SETTINGS " + ", ".join(f"{name} = {value}" for name, value in values.items())


def item_type(table: Table, forms: dict[str, Form]) -> str:
    """The type of `Item` for the single pass: a named Tuple of all that columns read, each part parsed as its type."""
    tree: dict[str, object] = {}
    for column in table.columns:
        node = tree
        for step in column.path[:-1]:
            node = node.setdefault(step, {})  # type: ignore[assignment]
        node[column.path[-1]] = forms[column.name]
    return _tuple_of(tree)


def _tuple_of(tree: dict[str, object]) -> str:
    parts = []
    for name, node in tree.items():
        spelled = f"Tuple(M {_tuple_of(node)})" if isinstance(node, dict) else _value_type(node)  # type: ignore[arg-type]
        parts.append(f"{quote_identifier(name)} {spelled}")
    return f"Tuple({', '.join(parts)})"


def _value_type(form: Form) -> str:
    """The type of one typed value, {tag: inner}."""
    return "String" if form.tag == JSON_TEXT else f"Tuple({form.tag} {_inner_type(form)})"


def _inner_type(form: Form) -> str:
    """The type of what stands inside the tag, as far as ClickHouse can parse it at once."""
    match form.type:
        case types.Tuple():
            members = ", ".join(f"{quote_identifier(name)} {_value_type(member)}" for name, member in form.members)
            return f"Tuple({members})"
        case types.Map():
            return f"Map(String, {_value_type(_inner(form))})"
        case types.Array():
            inner = _inner(form)
            return f"Array({_inner_type(inner) if form.tag != 'L' else _value_type(inner)})"
        case types.DateTime64():
            spelled = "String" if form.convert is Convert.ISO8601 else "Int64"
        case _:
            spelled = form.type.sql
    return f"Nullable({spelled})" if form.nullable else spelled


def _inner(form: Form) -> Form:
    assert form.inner is not None
    return form.inner


def single_pass_columns(table: Table, forms: dict[str, Form]) -> list[str]:
    """One expression over `Item` for each column, of the column's type."""
    expressions = []
    for column in table.columns:
        value = "Item"
        for step in column.path[:-1]:
            value = f"tupleElement(tupleElement({value}, {quote_string(step)}), 'M')"
        value = f"tupleElement({value}, {quote_string(column.path[-1])})"
        expressions.append(_value(value, forms[column.name]))
    return expressions


def single_pass_source(table: Table, forms: dict[str, Form], pattern: str, way: str) -> str:
    """What stands behind FROM, with the column `Item`. pattern: the data files. way: one of SINGLE_PASS."""
    spelled = item_type(table, forms)
    if way == "column":
        return f"file({quote_string(pattern)}, JSONEachRow, {quote_string(f'Item {spelled}')})"
    text = f"file({quote_string(pattern)}, JSONEachRow, 'Item String')"
    return f"(SELECT JSONExtract(Item, {quote_string(spelled)}) AS Item FROM {text})"


def guide_columns(table: Table, forms: dict[str, Form]) -> list[str]:
    """One expression over the text `item` for each column, with one JSONExtract, as the guide's view has them."""
    expressions = []
    for column in table.columns:
        form = forms[column.name]
        steps = ", ".join(quote_string(part) for step in column.path[:-1] for part in (step, "M"))
        path = ", ".join(filter(None, ("item", steps, quote_string(column.path[-1]))))
        if form.tag == JSON_TEXT:
            expressions.append(_json_text(f"JSONExtractRaw({path})"))
        else:
            inner = f"JSONExtract({path}, '{form.tag}', {quote_string(_inner_type(form))})"
            expressions.append(_from_inner(inner, form, 0))
    return expressions


def _value(value: str, form: Form, depth: int = 0) -> str:
    """The column's value from a typed value."""
    if form.tag == JSON_TEXT:
        return _json_text(value)
    return _from_inner(f"tupleElement({value}, '{form.tag}')", form, depth)


def _json_text(raw: str) -> str:
    """What is there is kept as it stands, tags and all: less work than JSON text is."""
    return f"nullIf(nullIf({raw}, ''), '{{\"NULL\":true}}')"


def _from_inner(inner: str, form: Form, depth: int) -> str:
    """The column's value from what stands inside the tag. depth: lambdas around this expression."""
    name = f"e{depth}"
    match form.type:
        case types.Tuple():
            parts = (_value(f"tupleElement({inner}, {quote_string(n)})", member, depth) for n, member in form.members)
            return f"CAST(tuple({', '.join(parts)}), {quote_string(form.type.sql)})"
        case types.Map():
            return f"mapApply((k, {name}) -> (k, {_value(name, _inner(form), depth + 1)}), {inner})"
        case types.Array():
            element = _inner(form)
            made = _value(name, element, depth + 1) if form.tag == "L" else _from_inner(name, element, depth + 1)
            mapped = inner if made == name else f"arrayMap({name} -> {made}, {inner})"
            return mapped if form.tag == "L" else f"arraySort({mapped})"
        case types.DateTime64(precision, _):
            return _moment(inner, form, precision)
        case types.String() if form.tag == "B":
            return f"base64Decode({inner})"
    return inner


def _moment(inner: str, form: Form, precision: int) -> str:
    if form.convert is Convert.ISO8601:
        function = "parseDateTime64BestEffortOrNull" if form.nullable else "parseDateTime64BestEffort"
        return f"{function}({inner}, {precision}, 'UTC')"
    if (form.convert, precision) != (Convert.EPOCH_MS, 3):
        raise NotImplementedError(f"{form.convert} into DateTime64({precision})")
    return f"fromUnixTimestamp64Milli({inner}, 'UTC')"
