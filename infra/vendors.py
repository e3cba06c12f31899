"""What lets everreel in at vendors whose recordings it supervises."""

import json

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from infra.nag import acknowledge


class AgoraKey(Construct):
    """The secret with which Agora's APIs are called; made without a customer, so none can be."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.secret = secrets.Secret(
            self,
            "Secret",
            description="Agora's RESTful API: "
            '{"customerId": "...", "customerSecret": "...", "storageConfig": {...}}',
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps({"customerId": ""}),
                generate_string_key="customerSecret",
                exclude_punctuation=True,
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(
            self.secret,
            "SMG4",
            "The vendor makes the key and everreel cannot: it is replaced by hand, see "
            "docs/vendors.md.",
        )
