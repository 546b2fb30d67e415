"""Small detectors with one unusual block each: what is written agrees with the graph, in float and in int8."""

from dataclasses import replace

import numpy as np
import pytest
from qcore_ncnn import conformance
from qcore_ncnn.convert import OnnxToNcnn

from qcore.plugin import FileError, Silent, UsageError
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
    if name in REFUSED:
        with pytest.raises(FileError, match=r"^ncnn cannot run .*: "):
            OnnxToNcnn().convert(model, options={}, progress=Silent())
        return
    made = OnnxToNcnn().convert(model, options={}, progress=Silent())
    backend = pytest.importorskip("qcore_ncnn.backend", reason="needs ncnn")
    session = backend.NcnnBackend().compile(made, options={})
    assert session.executed_precision == "int8 (f32)"
    assert session.executed().integer > session.executed().layers / 3
    both = [
        [next(iter(each.run(given).values())) for given in zoo.inputs()] for each in (session, literal(model.module))
    ]
    got, wanted = map(np.stack, both)
    assert np.abs(got - wanted).max() < 0.05 * wanted.std()


def test_a_batch_runs_one_by_one():
    backend = pytest.importorskip("qcore_ncnn.backend", reason="needs ncnn")
    session = backend.NcnnBackend().compile(conformance.in_integers(), options={})
    given = zoo.inputs()
    together = session.run({"x": np.concatenate([each["x"] for each in given])})
    alone = [session.run(each) for each in given]
    for name, value in together.items():
        assert np.array_equal(value, np.concatenate([each[name] for each in alone]))


def test_suppression_has_no_place_inside():
    model = zoo.example()
    with pytest.raises(UsageError, match="no NonMaxSuppression"):
        OnnxToNcnn().convert(model.evolve(form=replace(model.form, head="nms")), options={}, progress=Silent())
