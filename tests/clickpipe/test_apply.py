"""Apply and delete against a double of the Cloud API that is held to the official OpenAPI file."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from cloud_double import KEY, ORGANIZATION, SECRET, SERVICE, SPEC, CloudDouble

from transformer.clickpipe.api import CloudApi, IdleServiceError
from transformer.clickpipe.apply import MARGIN, Waiting, apply, delete
from transformer.clickpipe.snapshot import ExportLocation, snapshot_body
from transformer.clickpipe.spec import Design, PipeSpec
from transformer.errors import ConflictError, RetryError, UsageError
from transformer.schema.file import load_schema
from transformer.schema.landing import Names
from transformer.settings import Secret

pytestmark = pytest.mark.skipif(not SPEC.is_file(), reason="../shared/data/clickpipes missing: no OpenAPI file here")


class World:
    """One double, one engine, one spec, and a clock that nobody waits for."""

    def __init__(self, destination, name, **options):
        self.cloud = CloudDouble(**options)
        self.destination = destination
        table = replace(load_schema("schemas/users.yaml"), name=name)
        self.spec = PipeSpec(table, "users-cdc", "eu-west-1", account="123456789012")
        self.slept = []
        self.waiting = Waiting(60.0, 5.0, self.slept.append)

    def api(self, secret=SECRET):
        return CloudApi(
            ORGANIZATION, SERVICE, KEY, Secret(secret), transport=self.cloud, sleep=self.slept.append
        )  # fmt: skip

    def apply(self, **options):
        return apply(options.pop("spec", self.spec), self.api(), self.destination, waiting=self.waiting, **options)

    def posts(self):
        return [call for call in self.cloud.calls if call[:2] == ("POST", "/clickpipes")]


@pytest.fixture
def world(chdb_destination, unique_name):
    made = []

    def make(**options):
        made.append(World(chdb_destination, f"applied_{unique_name}", **options))
        return made[-1]

    yield make
    for one in made:
        name = one.spec.table.name
        for object_ in (*(vars_of(Names.of(name))), f"{name}_direct_view", f"{name}_direct", name):
            chdb_destination.command(f"DROP TABLE IF EXISTS `{object_}`")


def vars_of(names):
    return (names.decode, names.rows, names.to_dead, names.stage, names.landing, names.dead)


def test_tables_first_then_the_pipe_and_a_second_time_nothing(world):
    one = world()
    done = one.apply()
    assert done.state == "Running"
    assert len(one.posts()) == 1
    again = one.apply()
    assert again.pipe_id == done.pipe_id
    assert len(one.posts()) == 1
    assert any("as it should be" in step for step in again.steps)
    assert SECRET not in str(done) + str(again) + str(one.cloud.calls)


def test_the_direct_design_and_its_mapping_against_the_live_stream(world):
    one = world(fields=["dynamodb.Keys.id.S", "dynamodb.NewImage.age.N", "eventName"])
    spec = replace(one.spec, design=Design.DIRECT)
    with pytest.raises(ConflictError, match=r"NewImage\.first_name\.S, dynamodb\.ApproximateCreationDateTime"):
        one.apply(spec=spec, discover=True)
    one.cloud.fields = [*one.cloud.fields, "dynamodb.NewImage.first_name.S", "dynamodb.ApproximateCreationDateTime"]
    assert one.apply(spec=spec, discover=True).state == "Running"


def test_a_pipe_that_differs_is_told_and_left_alone(world):
    one = world()
    one.apply()
    with pytest.raises(ConflictError, match=r"streamName is 'users-cdc', not 'other'"):
        one.apply(spec=replace(one.spec, stream="other", role=one.spec.role_arn))
    assert len(one.cloud.pipes) == 1
    assert not [call for call in one.cloud.calls if call[0] in ("PATCH", "DELETE")]


def test_two_pipes_of_one_name_are_not_guessed_between(world):
    one = world()
    done = one.apply()
    one.cloud.pipes["copy"] = {**one.cloud.pipes[done.pipe_id], "id": "8f2d3c4b-aaaa-4bbb-8ccc-ddddeeeeffff"}
    with pytest.raises(ConflictError, match="2 pipes are called"):
        one.apply()


def test_views_made_from_another_schema_are_drift(world):
    one = world()
    one.apply()
    with pytest.raises(ConflictError, match="another schema or depth"):
        one.apply(spec=replace(one.spec, depth=3))


def test_an_idle_service_is_woken_only_when_asked(world):
    one = world(state="idle")
    with pytest.raises(IdleServiceError, match="sleeps"):
        one.apply()
    assert one.apply(wake=True).state == "Running"


def test_a_stopped_service_is_never_started(world):
    one = world(state="stopped")
    with pytest.raises(ConflictError, match="stopped"):
        one.apply(wake=True)
    assert not [call for call in one.cloud.calls if call[0] == "PATCH"]


def test_a_rate_limit_is_waited_for_as_it_says(world):
    one = world()
    one.cloud.troubles = [{"status": 429, "headers": {"X-RateLimit-Reset": "7"}}]
    one.apply()
    assert one.slept[0] == 8
    one.cloud.troubles = [{"status": 429, "headers": {"X-RateLimit-Reset": "86400"}}]
    with pytest.raises(RetryError, match="86400"):
        one.apply()
    one.cloud.troubles = [{"status": 429, "headers": {"X-RateLimit-Reset": "100"}}] * 10
    with pytest.raises(RetryError, match="no request"):
        one.apply()


def test_failures_of_reading_calls_are_repeated_and_given_up(world):
    one = world()
    one.cloud.troubles = [{"status": 503}, {"raises": httpx.ReadTimeout("slow")}]
    assert one.apply().state == "Running"
    one.cloud.troubles = [{"status": 502}] * 20
    with pytest.raises(RetryError, match="502"):
        one.apply()
    assert sum(one.slept[-7:]) <= 120


@pytest.mark.parametrize("trouble", [{"status": 500}, {"raises": httpx.ReadTimeout("slow")}])
@pytest.mark.parametrize("done", [True, False])
def test_a_lost_answer_to_create_makes_no_second_pipe(world, trouble, done):
    one = world()
    real = one.cloud.handle

    def handle(request):
        if request.method == "POST" and not one.posts():
            one.cloud.troubles = [{**trouble, "done": done}]
        return real(request)

    one.cloud.handler = handle
    assert one.apply().state == "Running"
    assert len(one.cloud.pipes) == 1
    assert len(one.posts()) == (1 if done else 2)


def test_wrong_keys_and_services(world):
    one = world()
    with pytest.raises(UsageError, match="401") as caught:
        one.api("wrong").service()
    assert "wrong" not in str(caught.value)
    one.cloud.troubles = [{"status": 403, "error": f"forbidden for {SECRET}"}]
    with pytest.raises(UsageError, match="admin") as caught:
        one.apply()
    assert SECRET not in str(caught.value)
    one.cloud.troubles = [{"status": 404}]
    with pytest.raises(UsageError, match="--organization"):
        one.apply()
    one.cloud.troubles = [{"status": 409}]
    with pytest.raises(ConflictError, match="409"):
        one.apply()
    one.cloud.troubles = [{"status": 400, "error": "stream does not exist"}]
    with pytest.raises(ConflictError, match="does not exist"):
        one.apply()
    for organization, url in (("x", "https://a"), (ORGANIZATION, "http://api.example.com")):
        with pytest.raises(UsageError):
            CloudApi(organization, SERVICE, KEY, Secret(SECRET), url=url)
    with pytest.raises(UsageError, match="CLICKHOUSE_CLOUD_KEY_ID"):
        CloudApi(ORGANIZATION, SERVICE, "", None)


@pytest.mark.parametrize("end", ["Failed", "InternalError", "Stopped"])
def test_a_pipe_that_fails_is_explained_and_can_be_made_anew_from_where_it_was(world, end):
    one = world(end=end)
    with pytest.raises(ConflictError, match="--restart"):
        one.apply()
    one.cloud.end = "Running"
    columns = "(id, version, is_deleted)"
    one.destination.command(f"INSERT INTO {one.spec.table.name} {columns} VALUES ('a', 1795392000000000, 0)")
    assert one.apply(restart=True).state == "Running"
    [pipe] = one.cloud.pipes.values()
    kinesis = pipe["source"]["kinesis"]
    assert (kinesis["iteratorType"], kinesis["timestamp"]) == ("AT_TIMESTAMP", 1795392000 - MARGIN)


def test_slow_provisioning_is_waited_for_and_given_up(world):
    one = world(provisioning=8)
    assert one.apply().state == "Running"
    other = world(provisioning=1000)
    with pytest.raises(RetryError, match="still Provisioning"):
        other.apply()


def test_delete_leaves_tables_and_is_idempotent(world):
    one = world()
    one.apply()
    delete(one.spec.name, one.api(), waiting=one.waiting)
    assert one.cloud.pipes == {}
    assert "no pipe" in delete(one.spec.name, one.api(), waiting=one.waiting).steps[0]
    assert one.destination.query(f"SELECT count() FROM {one.spec.table.name} FORMAT TSV") == b"0\n"


def test_a_role_needs_an_account(world):
    one = world()
    with pytest.raises(UsageError, match="--account"):
        one.apply(spec=replace(one.spec, account=""))


def test_the_body_of_the_s3_pipe_is_valid():
    spec = PipeSpec(load_schema("schemas/users.yaml"), "users-cdc", "eu-west-1", account="123456789012")
    export = ExportLocation.parse("s3://bucket/exports/AWSDynamoDB/01693685827463-2d8752fd/")
    cloud = CloudDouble()
    schema = {"$ref": "#/components/schemas/ClickPipePostRequest"}
    assert cloud.contract.faults(schema, snapshot_body(spec, export)) == []
    assert cloud.contract.faults(schema, {**snapshot_body(spec, export), "flatten": True}) != []
