"""NNCF: OpenVINO's own INT8."""

from collections.abc import Iterator

import qcore
from qcore_plugins.quantization.options import LEAVING_FLOAT, SATURATION


@qcore.hookimpl
def qcore_quantizers() -> Iterator[qcore.QuantizerSpec]:
    """The quantizer `nncf`."""
    yield qcore.QuantizerSpec(
        name="nncf",
        summary="NNCF post-training quantization for OpenVINO, decode tail in float",
        target="qcore_plugins.nncf.quantizer:NncfQuantizer",
        requires=(
            qcore.Requirement("nncf", "nncf", ">=2.14", extra="openvino"),
            qcore.Requirement("openvino", "openvino", ">=2025.0", extra="openvino"),
        ),
        accepts=(qcore.Form("openvino", encoding="float"),),
        produces=qcore.Form("openvino", encoding="native", symmetric=False),
        options=(
            *LEAVING_FLOAT,
            SATURATION,
            qcore.Option("preset", "symmetry of activations", "mixed", str, ("mixed", "performance")),
            qcore.Option(
                "ranges",
                "how ranges of activations are taken from the inputs",
                "histogram",
                str,
                ("histogram", "mean_minmax", "median_minmax", "minmax"),
            ),
            qcore.Option(
                "bias_correction", "the accurate, slower bias correction instead of the fast one", False, bool
            ),
        ),
    )
