"""Alarms for what a person must look at, and one page that shows how the recorder is doing."""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.functions import LiveFunction
from infra.parameters import Parameters

PERIOD = Duration.minutes(5)
SLOW_START = Duration.seconds(20)
"""A recorder that waits so long in Lambda's queue misses what it was to record."""


class Watch(Construct):
    """Alarms, the dashboard, and the topic that tells somebody."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        parameters: Parameters,
        *,
        functions: Sequence[LiveFunction],
        recorder: LiveFunction,
        machine: sfn.StateMachine,
        lanes: sfn.StateMachine,
        bus: events.EventBus,
        queues: dict[str, sqs.IQueue],
        api: apigateway.HttpApi,
    ) -> None:
        super().__init__(scope, name)
        self._told = self._make_topic(parameters.alarm_email)
        errors = {f.row.name: f.function.metric_errors(period=PERIOD) for f in functions}
        for function, metric in errors.items():
            self._alarm(f"{function}-errors", metric, 1, f"{function} failed: read its log.")
        self._alarm(
            "throttles",
            lambda_.Function.metric_all_throttles(period=PERIOD),
            1,
            "A function of this account was refused a place: is its concurrency used up?",
        )
        age = recorder.function.metric("AsyncEventAge", statistic="Maximum", period=PERIOD)
        dropped = recorder.function.metric("AsyncEventsDropped", statistic="Sum", period=PERIOD)
        self._alarm(
            "recorder-late",
            age,
            SLOW_START.to_milliseconds(),
            "Laps wait long before they start: is the account's concurrency used up?",
        )
        self._alarm("recorder-dropped", dropped, 1, "A lap was given up before it could start.")
        for queue, kept in queues.items():
            self._alarm(
                f"{queue}-letters",
                kept.metric_approximate_number_of_messages_visible(
                    statistic="Maximum", period=PERIOD
                ),
                1,
                f"Messages of {queue} should not exist: read one, mend the cause, send it on.",
            )
        lost = "A recording lost its supervision: the sweep starts another within two minutes."
        self._alarm("supervision-failed", machine.metric_failed(period=PERIOD), 1, lost)
        self._alarm("supervision-aborted", machine.metric_aborted(period=PERIOD), 1, lost)
        lost = "A lane lost its machine: the sweep starts another one within a minute or two."
        self._alarm("lane-failed", lanes.metric_failed(period=PERIOD), 1, lost)
        self._alarm("lane-aborted", lanes.metric_aborted(period=PERIOD), 1, lost)
        faults = api.metric_server_error(period=PERIOD)
        self._alarm("api-faults", faults, 1, "The API answered 5xx: read the log of http_api.")
        self.dashboard = self._make_dashboard(
            recorder, machine, bus, queues, api, [*errors.values()], [age], faults
        )

    def _make_topic(self, email: str) -> sns.Topic | None:
        if not email:
            return None
        topic = sns.Topic(self, "Alarms", enforce_ssl=True, display_name="everreel alarms")
        topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic

    def _alarm(
        self, name: str, metric: cloudwatch.IMetric, threshold: float, description: str
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name.title().replace("-", "").replace("_", ""),
            alarm_name=f"{Stack.of(self).stack_name}-{name.replace('_', '-')}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._told:
            alarm.add_alarm_action(actions.SnsAction(self._told))

    def _make_dashboard(
        self,
        recorder: LiveFunction,
        machine: sfn.StateMachine,
        bus: events.EventBus,
        queues: dict[str, sqs.IQueue],
        api: apigateway.HttpApi,
        errors: list[cloudwatch.IMetric],
        waits: list[cloudwatch.IMetric],
        faults: cloudwatch.Metric,
    ) -> cloudwatch.Dashboard:
        def graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
            return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)

        function = recorder.function
        ingested = cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="Invocations",
            dimensions_map={"EventBusName": bus.event_bus_name},
            statistic="Sum",
            period=PERIOD,
        )
        return cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=Stack.of(self).stack_name,
            default_interval=Duration.hours(12),
            widgets=[
                [
                    graph(
                        "Laps running at once",
                        function.metric(
                            "ConcurrentExecutions", statistic="Maximum", period=Duration.minutes(1)
                        ),
                    ),
                    graph(
                        "Recordings: started, sealed, lost",
                        machine.metric_started(period=PERIOD),
                        machine.metric_succeeded(period=PERIOD),
                        machine.metric_failed(period=PERIOD),
                    ),
                    graph("Seconds a lap ran", function.metric_duration(period=PERIOD)),
                ],
                [
                    graph("Errors by function", *errors),
                    graph("How long laps waited to start", *waits),
                    graph(
                        "Letters nobody could deliver",
                        *(
                            queue.metric_approximate_number_of_messages_visible(period=PERIOD)
                            for queue in queues.values()
                        ),
                    ),
                ],
                [
                    graph("API calls and faults", api.metric_count(period=PERIOD), faults),
                    graph("API latency", api.metric_latency(period=PERIOD)),
                    graph("Events handed on by the bus", ingested),
                ],
            ],
        )
