"""The same pipe as Terraform: provider ClickHouse/clickhouse from 3.14 on, which takes attributes, no blocks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from transformer.clickpipe.iam import kinesis_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformer.clickpipe.spec import PipeSpec

_HEAD = """terraform {
  required_providers {
    clickhouse = {
      source  = "ClickHouse/clickhouse"
      version = ">= 3.14.0"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "service_id" {
  type        = string
  description = "Id of the ClickHouse Cloud service."
}

variable "clickhouse_principal" {
  type        = string
  description = "Principal of the service: iamRole in the answer of GET /v1/organizations/.../services/..."
}
"""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Reference(str):
    """A Terraform expression, written without quotes."""

    __slots__ = ()


def terraform(spec: PipeSpec, body: Mapping[str, Any]) -> str:
    """main.tf: the role with its policies, and the pipe. The tables must be there before: the SQL makes them."""
    label = re.sub(r"[^A-Za-z0-9_]", "_", spec.name)
    label = label if label[0].isalpha() else f"_{label}"
    kinesis = dict(body["source"]["kinesis"])
    kinesis["iamRole"] = Reference(f"aws_iam_role.{label}.arn") if not spec.role else spec.role
    if "timestamp" in kinesis:
        from datetime import UTC, datetime

        # The provider wants text and rounds to minutes; downwards, because records read twice do no harm.
        kinesis["timestamp"] = datetime.fromtimestamp(kinesis["timestamp"], UTC).strftime("%Y-%m-%dT%H:%M")
    resource = {
        "name": body["name"],
        "service_id": Reference("var.service_id"),
        "source": {"kinesis": kinesis},
        "destination": body["destination"],
        "fieldMappings": body["fieldMappings"],
        "scaling": body["scaling"],
        "settings": Settings(body["settings"]),
    }
    parts = [_HEAD]
    if not spec.role:
        trust = {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"AWS": Reference("var.clickhouse_principal")},
                "Action": "sts:AssumeRole",
            }],
        }  # fmt: skip
        parts.append(
            f'resource "aws_iam_role" "{label}" {{\n  name               = {_quoted(spec.role_name)}\n'
            f"  assume_role_policy = jsonencode({_value(Settings(trust), 1)})\n}}\n"
        )
        parts.append(
            f'resource "aws_iam_role_policy" "{label}" {{\n  role   = aws_iam_role.{label}.id\n'
            f"  policy = jsonencode({_value(Settings(kinesis_policy(spec.stream_arn)), 1)})\n}}\n"
        )
    parts.append(f'resource "clickhouse_clickpipe" "{label}" {_value(resource, 0)}\n')
    return "\n".join(parts)


class Settings(dict[str, Any]):
    """A map whose names are data, not attributes of the provider: written as they are."""


def _value(value: object, level: int, *, plain: bool = False) -> str:
    """A value in Terraform's syntax. plain: inside of Settings."""
    plain = plain or isinstance(value, Settings)
    inner, outer = "  " * (level + 1), "  " * level
    match value:
        case dict():
            lines = [
                f"{inner}{name if plain else _WORDS.sub('_', name).lower()} = {_value(part, level + 1, plain=plain)}"
                for name, part in value.items()
            ]
            return "{\n" + "\n".join(lines) + f"\n{outer}}}"
        case list():
            lines = [f"{inner}{_value(part, level + 1, plain=plain)}," for part in value]
            return "[\n" + "\n".join(lines) + f"\n{outer}]"
        case Reference():
            return str(value)
        case str():
            return _quoted(value)
        case _:
            return json.dumps(value)


def _quoted(text: str) -> str:
    """A string literal: ${ and %{ would begin templates."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
