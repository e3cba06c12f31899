"""The HTTP API and who may call it."""

import json
from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.logs import log_group
from infra.nag import acknowledge
from infra.parameters import Parameters

OPEN_PATHS = ("/v1/health", "/v1/openapi.json")
"""Answered without a key: they say what the API is and that it is there, nothing of anybody's."""

NOTICE_PATHS = ("/v1/notices/agora", "/v1/notices/tencent")
"""Vendors hold no key of ours; each notice is signed, and the function checks that first."""

# Who called what, and what came of it. No headers: one of them is the key.
LOGGED = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "route": "$context.routeKey",
    "path": "$context.path",
    "status": "$context.status",
    "milliseconds": "$context.responseLatency",
    "error": "$context.error.message",
    "functionError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
}

ANSWER_REMEMBERED = Duration.seconds(60)


class Api(Construct):
    """Routes of the native API; all but the open ones ask the authorizer."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        parameters: Parameters,
        *,
        handler: lambda_.IFunction,
        authorizer: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, name)
        stack = Stack.of(self)
        self.api = apigateway.HttpApi(
            self,
            "Api",
            api_name=stack.stack_name,
            description="Starts, stops and finds recordings",
            create_default_stage=False,
            default_authorizer=authorizers.HttpLambdaAuthorizer(
                "Keys",
                authorizer,
                identity_source=["$request.header.Authorization"],
                response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
                results_cache_ttl=ANSWER_REMEMBERED,
            ),
        )
        integration = integrations.HttpLambdaIntegration(
            "Handler", handler, timeout=Duration.seconds(29)
        )
        self.api.add_routes(path="/v1/{proxy+}", integration=integration)
        for path in OPEN_PATHS:
            for route in self.api.add_routes(
                path=path,
                methods=[apigateway.HttpMethod.GET],
                integration=integration,
                authorizer=apigateway.HttpNoneAuthorizer(),
            ):
                acknowledge(
                    route,
                    "APIG4",
                    "A monitor and a reader of the API's description need no key; neither answer "
                    "tells anything about recordings.",
                )
        for path in NOTICE_PATHS:
            for route in self.api.add_routes(
                path=path,
                methods=[apigateway.HttpMethod.POST],
                integration=integration,
                authorizer=apigateway.HttpNoneAuthorizer(),
            ):
                acknowledge(
                    route,
                    "APIG4",
                    "The vendor calls it and knows no key; the function believes only what is "
                    "signed with the secret that the vendor shares with this deployment.",
                )
        log = log_group(self, f"/aws/vendedlogs/apigateway/{stack.stack_name}", parameters)
        self.stage = apigateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(
                rate_limit=parameters.requests_per_second,
                burst_limit=2 * parameters.requests_per_second,
            ),
        )
        plain = cast(apigateway.CfnStage, self.stage.node.default_child)
        plain.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=log.log_group_arn, format=json.dumps(LOGGED)
        )
        self.url = self.api.api_endpoint
