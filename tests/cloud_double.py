"""A stateful double of the ClickHouse Cloud API, for ClickPipes: every request and answer is held against the official
OpenAPI file; what that file leaves open (it requires nothing and forbids nothing) is required and forbidden here."""

from __future__ import annotations

import base64
import copy
import json
import uuid
from pathlib import Path

import httpx
from openapi_schema_validator import OAS31Validator

SPEC = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "clickpipes" / "openapi-clickpipes.json"
ORGANIZATION = "0b1a9c6e-1111-4222-8333-444455556666"
SERVICE = "7f2d3c4b-aaaa-4bbb-8ccc-ddddeeeeffff"
KEY, SECRET = "key-id", "s3cr3t/+key"
ROOT = f"/v1/organizations/{ORGANIZATION}/services/{SERVICE}"
TEMPLATE = "/v1/organizations/{organizationId}/services/{serviceId}"

# What the clients of ClickHouse itself always send.
REQUIRED = {
    "ClickPipePostRequest": ["name", "source", "destination"],
    "ClickPipePostKinesisSource": ["format", "streamName", "region", "iteratorType", "authentication"],
    "ClickPipeMutateDestination": ["database", "table", "managedTable", "columns"],
    "ClickPipeDestinationColumn": ["name", "type"],
    "ClickPipeFieldMapping": ["sourceField", "destinationField"],
    "ClickPipePostObjectStorageSource": ["type", "format", "url"],
    "ClickPipeStatePatchRequest": ["command"],
    "ClickPipeSchemaDiscoveryRequest": ["source"],
    "ClickPipe": ["id", "serviceId", "name", "state", "source", "destination", "fieldMappings"],
}


class Contract:
    """The OpenAPI file, made strict."""

    def __init__(self):
        self.document = json.loads(SPEC.read_text())
        schemas = self.document["components"]["schemas"]
        for name, required in REQUIRED.items():
            schemas[name]["required"] = required
        for schema in schemas.values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)

    def faults(self, schema, value):
        whole = {**schema, "components": self.document["components"]}
        return [error.message for error in OAS31Validator(whole).iter_errors(value)]

    def request(self, method, path, body):
        operation = self.document["paths"][TEMPLATE + path][method.lower()]
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return [] if body is None else ["no body is taken"]
        return self.faults(schema, body)

    def answer(self, method, path, status, content):
        answers = self.document["paths"][TEMPLATE + path][method.lower()]["responses"]
        schema = answers.get(str(status), answers["400"]).get("content", {}).get("application/json", {}).get("schema")
        return self.faults(schema, content) if schema else []


class CloudDouble(httpx.MockTransport):
    """provisioning: looks that a new pipe takes until it runs. troubles: answers to give before any other, each a
    (status, headers) or an exception; one that is `done` as well lets the call through first. end: the state that pipes
    reach."""

    def __init__(self, *, provisioning=2, state="running", end="Running", fields=()):
        super().__init__(self.handle)
        self.contract = Contract()
        self.pipes = {}
        self.looks = {}
        self.provisioning = provisioning
        self.service_state = state
        self.end = end
        self.fields = fields
        self.troubles = []
        self.calls = []

    def handle(self, request):
        path = request.url.path
        body = json.loads(request.content) if request.content else None
        self.calls.append((request.method, path.removeprefix(ROOT), body))
        wanted = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != wanted:
            return self.refuse(401, f"bad key {SECRET}")
        if self.troubles:
            trouble = self.troubles.pop(0)
            if trouble.get("done"):
                self.serve(request.method, path, body)
            if "raises" in trouble:
                raise trouble["raises"]
            return self.refuse(trouble["status"], trouble.get("error", "trouble"), trouble.get("headers"))
        if not path.startswith(ROOT):
            return self.refuse(404, "no such service")
        return self.serve(request.method, path, body)

    def refuse(self, status, error, headers=None):
        content = {"status": status, "error": error, "requestId": str(uuid.uuid4())}
        return httpx.Response(status, json=content, headers=headers)

    def serve(self, method, path, body):
        rest = path.removeprefix(ROOT)
        if rest == "" and method == "GET":
            service = {"id": SERVICE, "state": self.service_state, "iamRole": "arn:aws:iam::111122223333:role/CH"}
            if self.service_state == "awaking":
                self.service_state = "running"
            return self.give({"result": service})
        if rest == "/state" and method == "PATCH":
            assert body == {"command": "awake"}
            self.service_state = "awaking"
            return self.give({"result": {"id": SERVICE, "state": "awaking"}})
        parts = rest.split("/")[2:]
        known = {"schemaDiscovery"}
        template = "/clickpipes" + "".join(
            f"/{part}" if part in known or place else "/{clickPipeId}" for place, part in enumerate(parts)
        )
        faults = self.contract.request(method, template, body)
        if faults:
            return self.refuse(400, "; ".join(faults))
        status, content = self.do(method, parts, body)
        assert self.contract.answer(method, template, status, content) == []
        return httpx.Response(status, json=content)

    def give(self, content):
        return httpx.Response(200, json={"status": 200, "requestId": str(uuid.uuid4()), **content})

    def do(self, method, parts, body):
        request_id = {"requestId": str(uuid.uuid4())}

        def good(result=None):
            return 200, {"status": 200, **request_id, **({} if result is None else {"result": result})}

        def bad(status, error):
            return status, {"status": status, "error": error, **request_id}

        if method == "GET" and not parts:
            return good([copy.deepcopy(pipe) for pipe in self.pipes.values()])
        if self.service_state != "running":
            return bad(424, f"FAILED_DEPENDENCY: Current state: {self.service_state}")
        if parts == ["schemaDiscovery"]:
            fields = [{"name": name, "type": "String", "optional": True} for name in self.fields]
            return good({"fields": fields, "meta": None})
        if method == "POST":
            mapped = [one["destinationField"] for one in body.get("fieldMappings", [])]
            if mapped != [column["name"] for column in body["destination"]["columns"]]:
                return bad(400, "all destination columns must be mapped")
            pipe_id = str(uuid.uuid4())
            pipe = copy.deepcopy(body)
            pipe |= {"id": pipe_id, "serviceId": SERVICE, "state": "Provisioning"}
            self.pipes[pipe_id] = pipe
            self.looks[pipe_id] = self.provisioning
            return good(copy.deepcopy(pipe))
        pipe = self.pipes.get(parts[0])
        if pipe is None:
            return bad(404, "pipe not found")
        if method == "DELETE":
            del self.pipes[parts[0]]
            return good()
        if method == "PATCH" and parts[1:] == ["state"]:
            if pipe["state"] not in ("Stopped", "Failed"):
                return bad(409, "the pipe is not stopped")
            pipe["state"] = "Provisioning"
            return good(copy.deepcopy(pipe))
        if pipe["state"] == "Provisioning":
            self.looks[parts[0]] -= 1
            if self.looks[parts[0]] <= 0:
                pipe["state"] = self.end
        return good(copy.deepcopy(pipe))
