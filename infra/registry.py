"""The functions of the stack as data: what each is for, what it gets and what it may do.

A row is the whole truth about a function; `functions.py` only turns rows into resources. What a
role may do is listed action by action, so a review of this file is a review of the permissions.
"""

from dataclasses import dataclass

RUNTIME = ("runtime",)
RUNTIME_AND_MEDIA = ("runtime", "media")

MINUTE_S = 60
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission to do `actions` on one thing of the stack.

    Attributes:
        on: `table`, `index`, `unsealed` (its indexes), `bucket` (itself), `objects` (in it),
            `reports` and `timelines` (what verifications wrote there), `bus`, `recorder`, `look`,
            `verifier` (their aliases), `supervision`, `lanes` (the state machines), `api_keys`,
            `notice_secrets` or `agora_key` (the secrets).
        actions: IAM's names, none with a wildcard.
    """

    on: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """How an invocation that waits in Lambda's own queue is treated.

    Attributes:
        retries: after a failed run, 0 to 2; the second comes two minutes after the first.
        longest_wait_s: after which an event that found no room is given up.
        failures_to: where the given-up go: `bus`, as an event that rules can act on, or `queue`.
    """

    retries: int
    longest_wait_s: int
    failures_to: str


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One function.

    Attributes:
        name: of its folder under `functions/`; the handler is `<name>.handler.handler`.
        why: what it does, for the console; and why its numbers are what they are, in comments.
        memory_mb: and with it the share of a processor: 1,769 MB are one.
        timeout_s: at most 900.
        layers: in the order they are laid over each other.
        settings: fields of `everreel.settings.Settings` that it gets as environment variables.
        grants: all it may do besides writing its own log.
        asynchronous: for functions that are invoked with `InvocationType=Event`.
    """

    name: str
    why: str
    memory_mb: int
    timeout_s: int
    layers: tuple[str, ...]
    settings: tuple[str, ...]
    grants: tuple[Grant, ...]
    asynchronous: Asynchronous | None = None


_READ_ROWS = ("dynamodb:GetItem", "dynamodb:Query")
# Put and Update keep a ticket, use it up, write the recording and its first lap.
_START_ROWS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
# Who moves a recording on also replaces its laps' rows and gives its name free.
_MOVE_ROWS = (*_READ_ROWS, "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
_START = (
    Grant("recorder", ("lambda:InvokeFunction",)),
    Grant("supervision", ("states:StartExecution",)),
    # Has a vendor asked at once that is to start or to stop; the look holds the vendor's key.
    Grant("look", ("lambda:InvokeFunction",)),
)
_START_SETTINGS = (
    "table",
    "retention_days",
    "record_function",
    "state_machine",
    "look_function",
    "source_template",
    "allow_private_sources",
    "max_duration_s",
)
# Without ListBucket S3 answers 403 instead of 404 about an object that is not there.
_LIST = Grant("bucket", ("s3:ListBucket",))
_PUBLISH = Grant("bus", ("events:PutEvents",))

RECORDER = FunctionRow(
    name="record_lap",
    why="Records one lap: pulls the stream, cuts it into segments and commits them.",
    # Copying takes a few thousandths of a processor; memory is what a recording hour costs.
    memory_mb=256,
    # What Lambda gives at most. The lap ends itself before (EVERREEL_LAP_S, EVERREEL_DRAIN_S).
    timeout_s=900,
    layers=RUNTIME,
    settings=(
        "table",
        "retention_days",
        "bucket",
        "bus",
        "allow_private_sources",
        "queue_mib",
        "lap_s",
        "drain_s",
    ),
    grants=(
        Grant("table", (*_MOVE_ROWS, "dynamodb:ConditionCheckItem")),
        # GetObject compares an object that was there already; DeleteObject is for the loser of a
        # commit, who removes its own.
        Grant("objects", ("s3:PutObject", "s3:GetObject", "s3:DeleteObject")),
        _LIST,
        _PUBLISH,
        # It tells the machine of its lane that it lives, and at last that it has ended.
        Grant("lanes", ("states:SendTaskHeartbeat", "states:SendTaskSuccess")),
    ),
    # A lap that comes late or twice is of no use: supervision starts another one.
    asynchronous=Asynchronous(retries=0, longest_wait_s=MINUTE_S, failures_to="bus"),
)

LOOK = FunctionRow(
    name="look",
    why="Looks at a recording for its state machine: wait, seal or done?",
    memory_mb=256,
    # Calls of a vendor's API take ten seconds each at most (`supervisor.elsewhere` has the sum).
    timeout_s=45,
    layers=RUNTIME,
    settings=("table", "retention_days", "bus", "agora_secret"),
    grants=(
        # The writes bury a lap that died, end a recording that nobody records any more, and keep
        # how far a vendor's task has come.
        Grant("table", _MOVE_ROWS),
        Grant("agora_key", ("secretsmanager:GetSecretValue",)),
        _PUBLISH,
    ),
    # Asked for by a door. One that fails is made good by the state machine's next.
    asynchronous=Asynchronous(retries=1, longest_wait_s=MINUTE_S, failures_to="queue"),
)

RELAY = FunctionRow(
    name="relay_lap",
    why="Plans the laps of a lane for its state machine, and starts each when it is due.",
    memory_mb=256,
    timeout_s=30,
    layers=RUNTIME,
    settings=(
        "table",
        "retention_days",
        "bus",
        "record_function",
        "state_machine",
        "lane_machine",
        "lap_s",
        "drain_s",
        "overlap_s",
    ),
    grants=(
        # Who runs the lane, the next lap, and the burial of one that died.
        Grant("table", _MOVE_ROWS),
        Grant("recorder", ("lambda:InvokeFunction",)),
        Grant("lanes", ("states:SendTaskSuccess",)),
        _PUBLISH,
    ),
)

SWEEPER = FunctionRow(
    name="sweep_machines",
    why="Once a minute: starts anew the state machines that live recordings have lost.",
    memory_mb=256,
    timeout_s=50,
    layers=RUNTIME,
    settings=("table", "record_function", "state_machine", "lane_machine"),
    grants=(
        Grant("unsealed", ("dynamodb:Query",)),
        Grant("supervision", ("states:ListExecutions", "states:StartExecution")),
        Grant("lanes", ("states:ListExecutions", "states:StartExecution")),
    ),
    # The next minute brings the next sweep.
    asynchronous=Asynchronous(retries=0, longest_wait_s=MINUTE_S, failures_to="queue"),
)

SEALER = FunctionRow(
    name="seal_recording",
    why="Seals an ended recording from what the store holds: playlists, manifest, MP4, poster.",
    # The MP4 is streamed through, so time goes by bytes: more memory is more network and processor.
    memory_mb=1769,
    timeout_s=900,
    layers=RUNTIME_AND_MEDIA,
    settings=("table", "retention_days", "bucket", "bus"),
    grants=(
        Grant("table", (*_READ_ROWS, "dynamodb:PutItem")),
        Grant(
            "objects",
            ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"),
        ),
        _LIST,
        _PUBLISH,
    ),
    # Invoked by a rule on the bus; sealing twice does nothing new.
    asynchronous=Asynchronous(retries=2, longest_wait_s=HOUR_S, failures_to="queue"),
)

VERIFIER = FunctionRow(
    name="verify_recording",
    why="Reads an ended recording again and tells whether it is whole.",
    # Time goes by bytes, as for the seal; a day's lists and facts take 100 MB.
    memory_mb=1769,
    timeout_s=900,
    layers=RUNTIME,
    settings=("table", "retention_days", "bucket"),
    grants=(
        Grant("table", _READ_ROWS),
        Grant("objects", ("s3:GetObject",)),
        Grant("reports", ("s3:PutObject",)),
        Grant("timelines", ("s3:PutObject",)),
        _LIST,
    ),
    asynchronous=Asynchronous(retries=1, longest_wait_s=5 * MINUTE_S, failures_to="queue"),
)

AUTHORIZER = FunctionRow(
    name="authorize_call",
    why="Answers the API's question: does this call carry a key we know?",
    memory_mb=256,
    timeout_s=10,
    layers=RUNTIME,
    settings=("api_keys_secret",),
    grants=(Grant("api_keys", ("secretsmanager:GetSecretValue",)),),
)

API = FunctionRow(
    name="http_api",
    why="The HTTP API: acquire, start, query, stop, list and verify recordings.",
    # A third of a processor: FastAPI's imports are what a cold start waits for.
    memory_mb=512,
    # The gateway gives up after 30 s.
    timeout_s=29,
    layers=RUNTIME,
    settings=(*_START_SETTINGS, "bucket", "bus", "notice_secrets", "verify_function"),
    grants=(
        *_START,
        # That a verification was asked for, and what came of it, stands in its report.
        Grant("verifier", ("lambda:InvokeFunction",)),
        Grant("reports", ("s3:GetObject", "s3:PutObject")),
        _LIST,
        # Notices of vendors come in here, are known by their signature and go onto the bus.
        Grant("notice_secrets", ("secretsmanager:GetSecretValue",)),
        _PUBLISH,
        # A recording that is stopped between two laps gives its name free at once.
        Grant("table", _MOVE_ROWS),
        Grant("index", ("dynamodb:Query",)),
    ),
)

STARTER = FunctionRow(
    name="start_recording",
    why="Starts the recording that an event on the bus, or a test event in the console, asks for.",
    memory_mb=256,
    timeout_s=30,
    layers=RUNTIME,
    settings=(*_START_SETTINGS, "bus"),
    # A request that is wrong has nobody waiting for its answer: the bus is told.
    grants=(*_START, Grant("table", _START_ROWS), _PUBLISH),
    # A repeat finds the recording of the first; nobody wants a start that comes an hour late.
    asynchronous=Asynchronous(retries=2, longest_wait_s=5 * MINUTE_S, failures_to="queue"),
)

INGESTER = FunctionRow(
    name="ingest_notice",
    why="Keeps what is told of tasks and laps, once: vendors' notices, events, dead laps.",
    memory_mb=256,
    timeout_s=30,
    layers=RUNTIME,
    settings=("table",),
    # One row for each thing told, whatever was told before, so a notice costs the same after a
    # month; only for a dead lap it reads who waits for it, and tells him.
    grants=(
        Grant("table", ("dynamodb:GetItem", "dynamodb:PutItem")),
        Grant("lanes", ("states:SendTaskFailure",)),
    ),
    # Repeats are known, so everything may be tried again; what cannot be kept must not be lost.
    asynchronous=Asynchronous(retries=2, longest_wait_s=HOUR_S, failures_to="queue"),
)

FUNCTIONS = (RECORDER, LOOK, RELAY, SWEEPER, SEALER, VERIFIER, AUTHORIZER, API, STARTER, INGESTER)
