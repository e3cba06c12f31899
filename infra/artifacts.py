"""What is uploaded: the code of all functions as one asset, and the layers that were built."""

from pathlib import Path

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.parameters import Parameters
from layers.build import DIST, LAYERS, ROOT, LayerError, Target, check_size, layer_zip

NOT_CODE = ("**/__pycache__", "**/*.pyc", "**/.*")


def built_layers(parameters: Parameters) -> dict[str, Path]:
    """Find the zip of each layer.

    Raises:
        LayerError: one is missing, or a function with all of them would be too large for Lambda.
    """
    target = Target(parameters.arch, parameters.python)
    folder = Path(parameters.layer_folder) if parameters.layer_folder else DIST
    zips = {layer: folder / layer_zip(layer, target).name for layer in LAYERS}
    missing = [path.name for path in zips.values() if not path.exists()]
    if missing:
        raise LayerError(
            f"layers are missing ({', '.join(missing)} in {folder}). Build them: "
            f"python -m layers.build --arch {target.arch} --python {target.python}"
        )
    check_size(list(zips.values()))
    return zips


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
