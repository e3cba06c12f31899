"""The CDK app: reads the parameters, makes the stack, checks it. It never calls AWS.

    python -m infra.app                                          synthesise into cdk.out/
    CONTEXT="arch=x86_64 retentionDays=30" python -m infra.app   with other parameters

The CDK command line and the local deployer run it as well, with parameters as CDK context.
"""

import json
import os
import sys
from pathlib import Path

from infra.local.node import use_node
from infra.parameters import KEYS, ParameterError, read, words
from layers.build import ROOT, LayerError

OUT = "cdk.out"

# Behaviour of the CDK that this app relies on, however it is started.
FLAGS = {
    # A new layer is a reason for a new version; without it the alias would keep the old layer.
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,
    "@aws-cdk/aws-lambda:recognizeVersionProps": True,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/core:checkSecretUsage": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
}


def lasting_context() -> dict[str, object]:
    """Read the values that `cdk.json` keeps; the CDK command line hands them over by itself."""
    if "CDK_CONTEXT_JSON" in os.environ:
        return {}
    kept: dict[str, object] = json.loads((ROOT / "cdk.json").read_text()).get("context", {})
    return kept


def synthesise() -> Path:
    """Make the cloud assembly and give its folder.

    Raises:
        ParameterError: a context value is wrong.
        LayerError: layers are missing or too large.
    """
    # Both load the CDK's JavaScript when they are imported, which takes seconds and needs Node.js.
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from infra.stack import EverreelStack

    app = App(
        context={**FLAGS, **lasting_context(), **words(os.environ.get("CONTEXT", ""))},
        outdir=os.environ.get("CDK_OUTDIR", OUT),
        analytics_reporting=False,
    )
    known = {key: app.node.try_get_context(key) for key in KEYS}
    parameters = read({**app.node.get_all_context(), **known})
    EverreelStack(app, parameters.stack_name, parameters)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return Path(app.synth().directory)


def main() -> int:
    """Synthesise; say what is wrong in one line when it is the caller's to mend."""
    use_node()
    try:
        folder = synthesise()
    except (ParameterError, LayerError) as error:
        print(f"everreel: {error}", file=sys.stderr)
        return 2
    print(f"template in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
