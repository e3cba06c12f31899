"""Secrets that the stack makes and a person may replace; each is read by one function alone."""

import json
from dataclasses import dataclass, field

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from infra.nag import acknowledge

KEY_LENGTH = 40


@dataclass(frozen=True, slots=True)
class SecretRow:
    """One secret.

    Attributes:
        name: of its construct.
        description: for the console; says what a person may put in.
        made: field of the JSON object that is made with a text that nobody knows.
        why_by_hand: why no rotation replaces it.
        known: the other fields of the object.
    """

    name: str
    description: str
    made: str
    why_by_hand: str
    known: dict[str, str] = field(default_factory=dict)


API_KEYS = SecretRow(
    name="ApiKeys",
    description="Key of everreel's HTTP API: callers send `Authorization: Bearer <secret>`",
    known={"id": "default"},
    made="secret",
    why_by_hand="Callers hold this key: a rotation that does not tell them locks them out. It is "
    "replaced by hand, see docs/deploying.md.",
)
# Made with texts that nobody knows, so that no notice gets in and no vendor is called.
NOTICE_SECRETS = SecretRow(
    name="NoticeSecrets",
    description='What vendors sign notices with: {"agora": "<secret>", "tencent": "<key>"}',
    made="agora",
    why_by_hand="The vendor's console holds the other copy: it is replaced by hand in both places.",
)
AGORA_KEY = SecretRow(
    name="AgoraKey",
    description="Agora's RESTful API: "
    '{"customerId": "...", "customerSecret": "...", "storageConfig": {...}}',
    known={"customerId": ""},
    made="customerSecret",
    why_by_hand="The vendor makes the key and everreel cannot: it is replaced by hand, see "
    "docs/vendors.md.",
)


class KeptSecret(Construct):
    """A row as a resource; its text is in no template and no log."""

    def __init__(self, scope: Construct, row: SecretRow) -> None:
        super().__init__(scope, row.name)
        self.secret = secrets.Secret(
            self,
            "Secret",
            description=row.description,
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps(row.known),
                generate_string_key=row.made,
                exclude_punctuation=True,
                password_length=KEY_LENGTH,
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self.secret, "SMG4", row.why_by_hand)
