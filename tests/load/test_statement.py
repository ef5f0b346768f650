"""Where a statement gets the default format, and where it is left alone."""

from __future__ import annotations

import pytest

from transformer.load.destination import Destination
from transformer.load.statement import with_format


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FORMAT CSV",
        "select 1\nformat csv\n;\n",
        "SELECT 1 FORMAT CSV -- comment",
        "SELECT 1 FORMAT CSV /* ; */ ; # comment",
        "SELECT 1 FORMAT CSV SETTINGS max_threads = 1",
        "INSERT INTO t VALUES (1)",
        "CREATE TABLE t (a Int8) ENGINE = Null",
        "-- a comment\nSET max_threads = 1",
        "",
    ],
)
def test_left_alone(sql: str) -> None:
    assert with_format(sql, "X") == sql


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "SELECT 1\nFORMAT X"),
        ("SELECT 1;", "SELECT 1\nFORMAT X"),
        ("SELECT 1 ; ; -- end", "SELECT 1\nFORMAT X"),
        ("SELECT 1 -- end", "SELECT 1 -- end\nFORMAT X"),
        ("SELECT ';' AS a", "SELECT ';' AS a\nFORMAT X"),
        ("SELECT 'FORMAT CSV'", "SELECT 'FORMAT CSV'\nFORMAT X"),
        ("SELECT 1 -- FORMAT CSV", "SELECT 1 -- FORMAT CSV\nFORMAT X"),
        ("SELECT `a FORMAT CSV`", "SELECT `a FORMAT CSV`\nFORMAT X"),
        ("SELECT format FROM t ORDER BY format DESC", "SELECT format FROM t ORDER BY format DESC\nFORMAT X"),
        ("(SELECT 1) UNION ALL (SELECT 2)", "(SELECT 1) UNION ALL (SELECT 2)\nFORMAT X"),
        ("/* c */ WITH 1 AS x SELECT x", "/* c */ WITH 1 AS x SELECT x\nFORMAT X"),
        ("DESCRIBE t", "DESCRIBE t\nFORMAT X"),
        ("SELECT 1 SETTINGS max_threads = 1", "SELECT 1 SETTINGS max_threads = 1\nFORMAT X"),
    ],
)
def test_given_one(sql: str, expected: str) -> None:
    assert with_format(sql, "X") == expected


@pytest.mark.parametrize("sql", ["SELECT 1 AS a", "SELECT 1 AS a;", "SELECT ';' AS a /* ; */ ; -- ;", "SHOW DATABASES"])
def test_the_engine_takes_what_comes_out(chdb_destination: Destination, sql: str) -> None:
    assert chdb_destination.query(sql).startswith("   ┌─".encode())
