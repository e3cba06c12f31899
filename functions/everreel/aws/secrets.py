"""Reads secrets from Secrets Manager."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from everreel.errors import ServiceFault


def read_secret(client: Any, secret_id: str) -> str:
    """Return the text of a secret by name or ARN. Raises: ServiceFault."""
    try:
        text: str = client.get_secret_value(SecretId=secret_id)["SecretString"]
    except (ClientError, BotoCoreError, KeyError) as error:
        raise ServiceFault(
            f"the secret {secret_id} cannot be read: {type(error).__name__}"
        ) from error
    return text
