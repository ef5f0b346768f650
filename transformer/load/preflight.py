"""What a server lacks for a load: grants, settings, policies; all of it at once, before the first data file is opened.

Without this each lack would show as the refusal of a statement, one at a time, the last of them after the first chunk
was read and decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import DatabaseError

from transformer import log
from transformer.schema.expression import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

    from transformer.schema.table import Table

_log = log.get(__name__)

_SYNTAX_ERROR = 62
_ACCESS_DENIED = 497
_FIXED = 1
"""`system.settings.readonly` of a setting that this user may not change."""


def lacks(client: Client, table: Table, settings: Mapping[str, int | str], *, exists: bool) -> list[str]:
    """One sentence for each thing that a load into `table` needs and this user does not have. Changes nothing.

    settings: those that are sent with inserts. exists: whether the table is there.
    What cannot be asked is not reported: 24.8 has no CHECK GRANT, and few users may see row policies.
    Then the statement itself is refused, as it would be without this.
    Raises what the driver raises.
    """
    return [
        *_settings(client, settings),
        *_grants(client, table, exists=exists),
        *_row_policies(client, table),
    ]


def _settings(client: Client, settings: Mapping[str, int | str]) -> list[str]:
    """https://clickhouse.com/docs/operations/settings/permissions-for-queries#readonly: 1 allows reading only, 2 also
    changing settings."""
    known = client.server_settings
    readonly = known["readonly"].value if "readonly" in known else "0"
    if readonly != "0":
        return [f"the profile is read-only (readonly = {readonly}); a load needs readonly = 0"]
    found = []
    for name, value in settings.items():
        if name not in known:
            found.append(f"the setting {name} is not known to the server")
        elif known[name].readonly == _FIXED and known[name].value != str(value):
            found.append(f"the profile fixes the setting {name} at {known[name].value}; a load needs {value}")
    return found


def _grants(client: Client, table: Table, *, exists: bool) -> list[str]:
    name = quote_identifier(table.name)
    needed = [("SELECT", name), ("INSERT", name)]
    if not exists:
        needed.append(("CREATE TABLE", name))
        if table.cluster:
            needed.append(("CLUSTER", "*.*"))
    found = []
    for privilege, what in needed:
        try:
            granted = str(client.command(f"CHECK GRANT {privilege} ON {what}")).strip()
        except DatabaseError as error:
            if error.code == _SYNTAX_ERROR:
                _log.debug("grants cannot be checked", reason="this release has no CHECK GRANT")
                return []
            raise
        if granted == "0":
            found.append(f"the grant {privilege} ON {what} is missing")
    return found


def _row_policies(client: Client, table: Table) -> list[str]:
    """Rows that a policy hides would be missing when keys are counted and compared."""
    try:
        rows = client.query(
            "SELECT short_name FROM system.row_policies "
            "WHERE database = currentDatabase() AND table = {name:String} AND ("
            "apply_to_all AND NOT hasAny(apply_to_except, arrayConcat([currentUser()], enabledRoles())) "
            "OR hasAny(apply_to_list, arrayConcat([currentUser()], enabledRoles()))) ORDER BY short_name",
            parameters={"name": table.name},
        ).result_rows
    except DatabaseError as error:
        if error.code == _ACCESS_DENIED:
            _log.debug("row policies cannot be checked", reason="the user may not see them")
            return []
        raise
    return [f"the row policy {policy} may hide rows of the table from this user" for (policy,) in rows]
