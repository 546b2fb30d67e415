"""Small detectors with one unusual block each: what is written agrees with the graph, in float and in int8."""

import numpy as np
import pytest
from qcore_ncnn.convert import OnnxToNcnn

from qcore.plugin import FileError, Silent
from qcore_kit.quantization.literal import literal
from qcore_kit.testing import zoo

REFUSED = {
    "activations", "arithmetic", "attention", "average_pool_that_rounds_up", "average_pool_with_pads_at_one_end",
    "gathered", "gemm_transposed_input", "gemm_with_many_rows_as_bias", "gemm_with_the_constant_left",
    "depthwise_transposed_convolution", "grid_computed_from_the_shape", "matmul", "matmul_batched",
    "matmul_by_a_vector", "matmul_with_the_constant_left", "normalised", "pad_by_reflection", "pad_with_a_number",
    "pad_with_a_number_out_of_range", "pad_with_zero", "resize_cubic", "sides_computed_from_the_shape",
    "space_to_depth_and_back", "sums", "transposed_convolution_in_groups",
}  # fmt: skip


@pytest.mark.parametrize("name", zoo.BLOCKS)
def test_a_block_is_computed_as_the_graph_says_or_refused(name):
    model = zoo.written(zoo.table(name), "ncnn")
    try:
        made = OnnxToNcnn().convert(model, options={}, progress=Silent())
    except FileError as error:
        assert name in REFUSED, error.message  # noqa: PT017
        assert error.message.startswith("ncnn cannot run ")
        return
    assert name not in REFUSED
    backend = pytest.importorskip("qcore_ncnn.backend", reason="needs ncnn")
    session = backend.NcnnBackend().compile(made, options=backend.Settings())
    assert session.executed_precision == "int8 (f32)"
    assert session.executed().integer > session.executed().layers / 3
    both = [[next(iter(each.run(given).values())) for given in zoo.inputs()] for each in (session, literal(model.module))]
    got, wanted = map(np.stack, both)
    assert np.abs(got - wanted).max() < 0.05 * wanted.std()
