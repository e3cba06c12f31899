"""Find the layers that `layers/build.py` made and make sure that Lambda will take them."""

from pathlib import Path

from infra.parameters import Parameters
from layers.build import DIST, LAYERS, LayerError, Target, check_size, layer_zip


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
