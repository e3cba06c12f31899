"""What is uploaded: the code of all functions as one asset, and the layers that were built."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.built_layers import built_layers
from infra.parameters import Parameters
from layers.build import ROOT

NOT_CODE = ("**/__pycache__", "**/*.pyc", "**/.*")


class Artifacts(Construct):
    """The code asset that all functions share, and the layer versions."""

    def __init__(self, scope: Construct, name: str, parameters: Parameters) -> None:
        super().__init__(scope, name)
        self.code = lambda_.Code.from_asset(str(ROOT / "functions"), exclude=list(NOT_CODE))
        self.runtime = lambda_.Runtime(
            f"python{parameters.python}", lambda_.RuntimeFamily.PYTHON, supports_inline_code=True
        )
        arm = parameters.arch == "arm64"
        self.architecture = lambda_.Architecture.ARM_64 if arm else lambda_.Architecture.X86_64
        self.layers = {
            layer: lambda_.LayerVersion(
                self,
                layer.capitalize(),
                layer_version_name=f"{Stack.of(self).stack_name}-{layer}",
                code=lambda_.Code.from_asset(str(path)),
                compatible_runtimes=[self.runtime],
                compatible_architectures=[self.architecture],
                description=f"Packages of everreel's functions: {layer}",
                # A published function version keeps working without it, but cannot be copied.
                removal_policy=RemovalPolicy.DESTROY,
            )
            for layer, path in built_layers(parameters).items()
        }
