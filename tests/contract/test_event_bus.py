"""The promise of `events.ports.EventBus`, held by every adapter; and what subscribers read."""

import json
from collections.abc import Callable, Generator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from everreel.contract.wire import Reply
from everreel.errors import ServiceFault
from everreel.events.eventbridge import BATCH, TRIES, EventBridgeBus
from everreel.events.memory import MemoryBus
from everreel.events.ports import SOURCE, Event, EventBus, Happening
from tests.contract.cloud import REGION, pretended_cloud
from tests.contract.wire.golden import SAMPLES, SID

NAME = "everreel-test"


class Subscribed:
    """A bus and what arrived on it: (detail type, detail) pairs."""

    def __init__(self, bus: EventBus, arrived: Callable[[], list[tuple[str, dict[str, Any]]]]):
        self.bus = bus
        self.arrived = arrived


@pytest.fixture(params=["memory", "eventbridge"])
def subscribed(request: pytest.FixtureRequest) -> Generator[Subscribed]:
    if request.param == "memory":
        memory = MemoryBus()
        yield Subscribed(
            memory,
            lambda: [(e.kind.value, {"sid": e.sid, **e.detail}) for e in memory.published],
        )
        return
    with pretended_cloud():
        events, queues = (boto3.client(each, region_name=REGION) for each in ("events", "sqs"))
        url = queues.create_queue(QueueName="arrived")["QueueUrl"]
        asked = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        events.create_event_bus(Name=NAME)
        pattern = json.dumps({"source": [SOURCE]})
        events.put_rule(Name="all", EventBusName=NAME, EventPattern=pattern)
        target: Any = {"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}
        events.put_targets(Rule="all", EventBusName=NAME, Targets=[target])

        def arrived() -> list[tuple[str, dict[str, Any]]]:
            found: list[tuple[str, dict[str, Any]]] = []
            while messages := queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                for message in messages:
                    queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    body = json.loads(message["Body"])
                    found.append((body["detail-type"], body["detail"]))
            return found

        yield Subscribed(EventBridgeBus(NAME, events), arrived)


def event(number: int) -> Event:
    return Event(Happening.SEGMENT, SID, {"k": number})


def test_event_when_published_then_arrives_with_its_kind_and_sid(subscribed: Subscribed) -> None:
    subscribed.bus.publish(Event(Happening.SEALED, SID, {"status": 8, "reason": None}))
    assert subscribed.arrived() == [("RecordingSealed", {"sid": SID, "status": 8, "reason": None})]


@pytest.mark.parametrize("many", [0, 1, BATCH, BATCH + 1, 25])
def test_events_when_many_then_all_arrive(many: int, subscribed: Subscribed) -> None:
    subscribed.bus.publish(*map(event, range(many)))
    assert sorted(detail["k"] for _, detail in subscribed.arrived()) == list(range(many))


@pytest.mark.parametrize("happening", SAMPLES)
def test_sample_when_published_then_arrives_as_promised(
    happening: Happening, subscribed: Subscribed
) -> None:
    sample: Reply = SAMPLES[happening]
    detail = sample.dump()
    subscribed.bus.publish(Event(happening, detail.pop("sid"), detail))
    [(kind, found)] = subscribed.arrived()
    assert kind == happening.value
    assert type(sample).model_validate(found) == sample


class Capricious:
    """An `events` client that fails as it was told, one plan per call."""

    def __init__(self, *plans: object) -> None:
        self.plans = list(plans)
        self.calls: list[list[int]] = []
        self.arrived: list[int] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        numbers = [json.loads(entry["Detail"])["k"] for entry in Entries]
        self.calls.append(numbers)
        plan = self.plans.pop(0) if self.plans else ()
        if isinstance(plan, Exception):
            raise plan
        assert isinstance(plan, tuple)
        results: list[dict[str, str]] = []
        for number in numbers:
            if number in plan:
                results.append({"ErrorCode": "InternalFailure", "ErrorMessage": "try again"})
            else:
                self.arrived.append(number)
                results.append({"EventId": str(number)})
        return {"Entries": results, "FailedEntryCount": len(plan)}


def test_entries_when_some_fail_then_only_those_are_sent_again() -> None:
    client = Capricious((1, 3), (3,))
    EventBridgeBus(NAME, client).publish(*map(event, range(5)))
    assert client.calls == [[0, 1, 2, 3, 4], [1, 3], [3]]
    assert sorted(client.arrived) == [0, 1, 2, 3, 4]


def test_entries_when_they_go_on_failing_then_it_is_said() -> None:
    client = Capricious(*[(1,)] * TRIES)
    with pytest.raises(ServiceFault, match="1 events were not published: try again"):
        EventBridgeBus(NAME, client).publish(*map(event, range(3)))
    assert len(client.calls) == TRIES


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents"),
        EndpointConnectionError(endpoint_url="https://events.example"),
    ],
)
def test_bus_when_it_cannot_be_reached_then_it_is_said(error: Exception) -> None:
    with pytest.raises(ServiceFault, match="not published"):
        EventBridgeBus(NAME, Capricious(error)).publish(event(1))
