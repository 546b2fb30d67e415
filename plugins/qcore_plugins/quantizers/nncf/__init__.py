"""NNCF: OpenVINO's own INT8."""

from collections.abc import Iterator

from qcore.plugin import Form, Option, QuantizerSpec, Requirement, hookimpl
from qcore_kit.quantization.options import LEAVING_FLOAT, SATURATION

qcore_api = "1"


@hookimpl
def qcore_quantizers() -> Iterator[QuantizerSpec]:
    """The quantizer `nncf`."""
    yield QuantizerSpec(
        name="nncf",
        summary="NNCF post-training quantization for OpenVINO, decode tail in float",
        factory="qcore_plugins.quantizers.nncf.quantizer:NncfQuantizer",
        requires=(
            Requirement("nncf", "nncf", ">=2.14", extra="openvino"),
            Requirement("openvino", "openvino", ">=2025.0", extra="openvino"),
        ),
        accepts=(Form("openvino", encoding="float"),),
        produces=Form("openvino", encoding="native", symmetric=False),
        options=(
            *LEAVING_FLOAT,
            SATURATION,
            Option("preset", "symmetry of activations", "mixed", str, ("mixed", "performance")),
            Option(
                "ranges",
                "how ranges of activations are taken from the inputs",
                "histogram",
                str,
                ("histogram", "mean_minmax", "median_minmax", "minmax"),
            ),
            Option("bias_correction", "the accurate, slower bias correction instead of the fast one", False, bool),
        ),
    )
