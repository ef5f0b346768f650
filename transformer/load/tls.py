"""How a server proves who it is, and how this side does: the files behind --ca-cert, --client-cert and --client-key.

Certificates of servers are always verified, host name included; there is no switch against that. Whoever has an
authority of their own names it.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformer import log
from transformer.errors import UsageError

if TYPE_CHECKING:
    from transformer.load.address import Server
    from transformer.settings import Settings

_log = log.get(__name__)


def tls_options(address: Server, settings: Settings) -> dict[str, Any]:
    """The arguments about TLS for clickhouse-connect's `get_client`.

    A client certificate without a password is itself the proof of who the user is (`IDENTIFIED WITH ssl_certificate`,
    https://clickhouse.com/docs/operations/external-authenticators/ssl-x509); with a password it only opens the
    connection.
    Raises UsageError when a file cannot be used, before anything is sent.
    """
    if not address.secure:
        if settings.ca_cert or settings.client_cert or settings.client_key:
            raise UsageError(
                "certificates are given, but the destination is http://, which uses none",
                remedy="Write https:// in --to, with the port of the secure interface (8443).",
            )
        if address.password.reveal() and not _on_this_machine(address.host):
            _log.warning("the password crosses the network unencrypted", destination=address.url, instead="https://")
        return {}
    options: dict[str, Any] = {"verify": True}
    context = ssl.create_default_context()
    if settings.ca_cert:
        _readable("--ca-cert", settings.ca_cert)
        try:
            context.load_verify_locations(settings.ca_cert)
        except (ssl.SSLError, OSError):
            raise UsageError(f"--ca-cert {settings.ca_cert} holds no certificate in PEM form") from None
        options["ca_cert"] = settings.ca_cert
    if settings.client_key and not settings.client_cert:
        raise UsageError("--client-key needs --client-cert", remedy="Name the certificate that the key belongs to.")
    if settings.client_cert:
        key = settings.client_key or settings.client_cert
        _readable("--client-cert", settings.client_cert)
        _readable("--client-key", key)
        try:
            context.load_cert_chain(settings.client_cert, key, password=_no_passphrase)
        except (ssl.SSLError, OSError):
            raise UsageError(
                f"--client-cert {settings.client_cert} and its key in {key} cannot be used together",
                remedy="Both must be in PEM form, the key must be that of the certificate, and without a passphrase.",
            ) from None
        options |= {"client_cert": settings.client_cert, "client_cert_key": key}
        options["tls_mode"] = "strict" if address.password.reveal() else "mutual"
    return options


def _no_passphrase() -> str:
    """OpenSSL would ask on the terminal, and a batch job would wait there for ever."""
    raise OSError("the key has a passphrase")


def _readable(option: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be read: {error.strerror}") from None


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
