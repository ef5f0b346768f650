"""Everything that a server lacks is listed at once, before a row is sent; what fits is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from gateway import Engine, Gateway
from gateway.engine import StatementError

from transformer.errors import ConflictError, UsageError
from transformer.load.destination import Destination, open_destination
from transformer.schema.table import Column, Table
from transformer.schema.types import parse
from transformer.settings import Settings

SYNTAX = "Code: 62. DB::Exception: Syntax error: failed at position 7 ('GRANT') (SYNTAX_ERROR)"


class Restricted(Engine):
    """The embedded engine, with answers of an administrator who was less generous.

    answers: what replaces the result of a statement that the pattern matches, or the message it fails with.
    """

    def __init__(self, folder: str, scratch: Path) -> None:
        super().__init__(folder, scratch)
        self.answers: list[tuple[str, bytes | str]] = []
        self.rewrites: list[tuple[str, str]] = []
        self.statements: list[str] = []

    def run(self, sql: str, **options: Any) -> tuple[bytes, dict[str, str]]:
        self.statements.append(sql)
        for pattern, answer in self.answers:
            if re.search(pattern, sql):
                if isinstance(answer, str):
                    raise StatementError(answer)
                return answer, {}
        for pattern, new in self.rewrites:
            sql = re.sub(pattern, new, sql)
        return super().run(sql, **options)


@pytest.fixture
def engine(chdb_url: str, chdb_destination: Destination, tmp_path: Path) -> Iterator[Restricted]:
    engine = Restricted(chdb_url.removeprefix("chdb://"), tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def prepare(engine: Restricted) -> Iterator[Callable[[Table], bool]]:
    """Open the destination and make the table ready, as a load does."""
    gateway = Gateway(engine)

    def prepare(table: Table) -> bool:
        destination = open_destination(f"http://127.0.0.1:{gateway.port}/default", Settings(connect_timeout=30))
        try:
            return destination.ensure_table(table)
        finally:
            destination.close()

    yield prepare
    gateway.close()


def make_table(name: str, **changes: Any) -> Table:
    columns = (Column("id", ("id",), parse("String")), Column("n", ("n",), parse("Nullable(Int64)")))
    return Table(name, ("id",), columns, **changes)


Prepare = Callable[[Table], bool]


def test_a_server_that_lacks_nothing_is_ready(prepare: Prepare, engine: Restricted, unique_name: str) -> None:
    assert prepare(make_table(unique_name))
    assert not prepare(make_table(unique_name))
    assert f"CHECK GRANT CREATE TABLE ON `{unique_name}`" in "\n".join(engine.statements)


def test_every_missing_grant_is_named(prepare: Prepare, engine: Restricted, unique_name: str) -> None:
    engine.answers.append((r"^CHECK GRANT (INSERT|CREATE TABLE|CLUSTER)", b"0\n"))
    with pytest.raises(UsageError) as caught:
        prepare(make_table(unique_name, cluster="main"))
    said = str(caught.value)
    assert f"- the grant INSERT ON `{unique_name}` is missing" in said
    assert f"- the grant CREATE TABLE ON `{unique_name}` is missing" in said
    assert "- the grant CLUSTER ON *.* is missing" in said
    assert "SELECT" not in said
    assert "SECURITY.md" in said
    assert not any(statement.startswith("CREATE") for statement in engine.statements)


def test_a_table_that_is_there_needs_no_grant_to_create(prepare: Prepare, engine: Restricted, unique_name: str) -> None:
    prepare(make_table(unique_name))
    engine.answers.append((r"^CHECK GRANT (CREATE TABLE|CLUSTER)", b"0\n"))
    assert not prepare(make_table(unique_name))


@pytest.mark.parametrize("level", [1, 2])
def test_a_read_only_profile_is_named(prepare: Prepare, engine: Restricted, unique_name: str, level: int) -> None:
    engine.rewrites.append((r"SELECT name, value, readonly FROM", _settings_with(f"name = 'readonly', '{level}'")))
    with pytest.raises(UsageError, match=rf"the profile is read-only \(readonly = {level}\)"):
        prepare(make_table(unique_name))


def _settings_with(condition_and_value: str, fixed: str = "0") -> str:
    condition, _, value = condition_and_value.rpartition(", ")
    shown = f"if({condition}, {value}, value) AS value, if({condition}, {fixed}, readonly)::UInt8 AS readonly"
    return f"SELECT name, {shown} FROM"


def test_a_setting_that_is_fixed_at_another_value_is_named(
    prepare: Prepare, engine: Restricted, unique_name: str
) -> None:
    engine.rewrites.append(
        (r"SELECT name, value, readonly FROM", _settings_with("name = 'async_insert', '1'", fixed="1"))
    )
    with pytest.raises(UsageError, match="fixes the setting async_insert at 1; a load needs 0"):
        prepare(make_table(unique_name))


def test_a_setting_that_is_fixed_at_the_right_value_is_good(
    prepare: Prepare, engine: Restricted, unique_name: str
) -> None:
    engine.rewrites.append(
        (r"SELECT name, value, readonly FROM", _settings_with("name = 'async_insert', '0'", fixed="1"))
    )
    assert prepare(make_table(unique_name))


def test_settings_that_the_server_does_not_know_are_named(
    prepare: Prepare, engine: Restricted, unique_name: str
) -> None:
    engine.rewrites.append((r"FROM system\.settings", "FROM system.settings WHERE name NOT LIKE 'distributed_fore%'"))
    with pytest.raises(UsageError, match="the setting distributed_foreground_insert is not known"):
        prepare(make_table(unique_name))


def test_row_policies_that_apply_are_named(prepare: Prepare, engine: Restricted, unique_name: str) -> None:
    """The embedded engine has none, so a table of the same form stands for the system's."""
    engine.run(
        "CREATE TABLE row_policies (short_name String, database String, table String, apply_to_all UInt8, "
        "apply_to_list Array(String), apply_to_except Array(String)) ENGINE = Memory"
    )
    rows = [
        ("for_all", 1, "[]", "[]"),
        ("for_me", 0, "['default']", "[]"),
        ("not_for_me", 1, "[]", "['default']"),
        ("for_others", 0, "['somebody']", "[]"),
    ]
    for name, everybody, users, others in rows:
        values = f"'{name}', 'default', '{unique_name}', {everybody}, {users}, {others}"
        engine.run(f"INSERT INTO row_policies VALUES ({values})")
    engine.rewrites.append((r"system\.row_policies", "row_policies"))
    try:
        with pytest.raises(UsageError) as caught:
            prepare(make_table(unique_name))
        assert re.findall(r"the row policy (\w+)", str(caught.value)) == ["for_all", "for_me"]
        assert prepare(make_table(f"{unique_name}_without"))
    finally:
        engine.run("DROP TABLE row_policies")


def test_an_older_server_without_check_grant_is_not_asked(
    prepare: Prepare, engine: Restricted, unique_name: str
) -> None:
    engine.answers.append((r"^CHECK GRANT", SYNTAX))
    assert prepare(make_table(unique_name))


def test_what_fits_an_existing_table_and_what_does_not(prepare: Prepare, engine: Restricted, unique_name: str) -> None:
    """Codecs, indexes, a TTL and columns of its own do not matter to a load; other keys do."""
    columns = (
        "id String CODEC(ZSTD(3)), n Nullable(Int64), version Int64, is_deleted UInt8, _unmapped Map(String, String)"
    )
    extra = "loaded_at DateTime DEFAULT now(), INDEX by_n n TYPE minmax GRANULARITY 1"
    engine.run(
        f"CREATE TABLE {unique_name} ({columns}, {extra}) ENGINE = ReplacingMergeTree(version, is_deleted) "
        "ORDER BY id TTL loaded_at + INTERVAL 10 YEAR"
    )
    assert not prepare(make_table(unique_name))
    engine.run(
        f"CREATE TABLE {unique_name}_other ({columns}) ENGINE = ReplacingMergeTree(version, is_deleted) "
        "ORDER BY (id, version)"
    )
    with pytest.raises(ConflictError, match="does not fit the schema"):
        prepare(make_table(f"{unique_name}_other"))


def test_nothing_is_asked_of_the_embedded_engine(
    chdb_destination: Destination, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformer.load import clickhouse

    def refuse(*_: object, **__: Mapping[str, object]) -> list[str]:
        raise AssertionError

    monkeypatch.setattr(clickhouse, "lacks", refuse)
    assert chdb_destination.ensure_table(make_table(unique_name))
