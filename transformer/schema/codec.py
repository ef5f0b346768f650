"""Codecs of columns: which are taken from a schema file into SQL."""

from __future__ import annotations

from transformer.schema.expression import ExpressionError, Kind, arguments, tokens
from transformer.schema.hints import did_you_mean

CODECS = (
    "NONE",
    "LZ4",
    "LZ4HC",
    "ZSTD",
    "ZSTD_QAT",
    "DEFLATE_QPL",
    "Delta",
    "DoubleDelta",
    "GCD",
    "Gorilla",
    "FPC",
    "T64",
    "AES_128_GCM_SIV",
    "AES_256_GCM_SIV",
)
"""ClickHouse's codecs that give back what was put in. Lossy ones (SZ3) would break the data contract."""


def check_codec(codec: str) -> tuple[str, str] | None:
    """None for a list of lossless codecs such as `Delta(4), ZSTD(3)`; else what is wrong and what to write."""
    remedy = f"Write one or more of {', '.join(CODECS)}, as in Delta, ZSTD(3)."
    try:
        parts = arguments(tokens(codec))
    except ExpressionError as error:
        return str(error), remedy
    for part in parts:
        if not part or part[0].kind is not Kind.NAME or not part[0].bare:
            return "a codec's name is missing", remedy
        name = part[0].text
        if name.upper() == "CODEC":
            return "CODEC itself is added", 'Write only what stands inside, as in codec: "Delta, ZSTD(3)".'
        if name not in CODECS:
            return f"there is no lossless codec {name}", f"{did_you_mean(name, CODECS)} {remedy}".strip()
        inside = part[1:]
        if inside and not (
            inside[0].text == "("
            and inside[-1].text == ")"
            and all(token.kind is Kind.NUMBER or token.text == "," for token in inside[1:-1])
        ):
            return f"the parameters of {name} are not numbers", remedy
    return None
