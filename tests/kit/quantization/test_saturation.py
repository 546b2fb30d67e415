"""Sums of CPUs without VNNI: computed here, and by OpenVINO's kernels for such CPUs."""

import os
import platform
import subprocess
import sys

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.products import MLAS, ONEDNN, Products
from qcore_kit.quantization.saturation import HIGHEST, NARROW, NOISELESS, Loss, can_saturate, measure, sampled, sums

UNIT = np.float32(0.02) * np.float32(0.01)
CASES = {
    "conv": ("Conv", (16, 16, 3, 3), (1, 16, 8, 8), {"pads": [1, 1, 1, 1]}),
    "strided-odd": ("Conv", (16, 3, 6, 6), (1, 3, 16, 16), {"pads": [2, 2, 2, 2], "strides": [2, 2]}),
    "uneven-pads": ("Conv", (16, 5, 3, 3), (2, 5, 8, 9), {"pads": [0, 1, 2, 1], "strides": [2, 1]}),
    "same": ("Conv", (16, 16, 3, 3), (1, 16, 9, 9), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "dilated": ("Conv", (16, 16, 3, 3), (1, 16, 9, 9), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "pointwise-odd": ("Conv", (24, 17, 1, 1), (1, 17, 8, 8), {}),
    "depthwise": ("Conv", (16, 1, 3, 3), (1, 16, 8, 8), {"pads": [1, 1, 1, 1], "group": 16}),
    "grouped": ("Conv", (32, 8, 3, 3), (1, 32, 8, 8), {"pads": [1, 1, 1, 1], "group": 4}),
    "grouped-odd": ("Conv", (32, 5, 3, 3), (1, 10, 8, 8), {"pads": [1, 1, 1, 1], "group": 2}),
    "one-axis": ("Conv", (16, 16, 3), (1, 16, 20), {"pads": [1, 1]}),
    "transposed": ("ConvTranspose", (16, 8, 3, 3), (1, 16, 5, 5), {"strides": [2, 2], "pads": [1, 1, 1, 1],
                                                                  "output_padding": [1, 1]}),
    "matmul": ("MatMul", (33, 16), (1, 7, 33), {}),
    "gemm": ("Gemm", (16, 32), (7, 32), {"transB": 1}),
}  # fmt: skip
POINTS = (0, 37, 128)


def drawn(name):
    """An operation with many large weights and inputs, as (products, input)."""
    op, shape, given_, attributes = CASES[name]
    rng = np.random.default_rng(list(CASES).index(name))
    weight = rng.integers(-127, 128, shape)
    weight = np.where(rng.random(shape) < 0.5, np.abs(weight), weight).astype(np.int8)
    values = np.where(rng.random(given_) < 0.4, 255, rng.integers(0, 256, given_)).astype(np.uint8)
    return Products.of(op, weight, attributes), values


def graph(name, point):
    """The same as a Q/DQ graph with the scales that make `UNIT`."""
    op, shape, given_, attributes = CASES[name]
    axis = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 0}[op]
    constants = {
        "s": np.array(0.02, np.float32), "z": np.array(point, np.uint8), "w": drawn(name)[0].weight,
        "ws": np.full(shape[axis], 0.01, np.float32), "wz": np.zeros(shape[axis], np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=axis),
        helper.make_node(op, ["d", "wd"], ["y"], **attributes),
    ]
    float_ = onnx.TensorProto.FLOAT
    made = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", float_, given_)],
        [helper.make_tensor_value_info("y", float_, None)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def rows(name, output):
    """An output as [outputs, output channels]."""
    last = output if CASES[name][0] in {"MatMul", "Gemm"} else np.moveaxis(output, 1, -1)
    return last.reshape(-1, last.shape[-1])


CHILD = """
import sys, numpy, openvino
core = openvino.Core()
for path in sys.argv[1:]:
    made = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    numpy.save(path + ".out.npy", made(numpy.load(path + ".npy"))[0])
"""


@pytest.fixture(scope="module")
def without_vnni(tmp_path_factory):
    """(case, zero point) -> what OpenVINO gives on a CPU that has AVX2 and no VNNI."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        pytest.skip("OpenVINO has kernels for x86 CPUs without VNNI on x86 only")
    folder, paths = tmp_path_factory.mktemp("avx2"), {}
    for name in CASES:
        for point in POINTS:
            paths[name, point] = folder / f"{name}-{point}.onnx"
            onnx.save(graph(name, point), paths[name, point])
            picture = (drawn(name)[1].astype(np.int32) - point) * np.float32(0.02)
            np.save(f"{paths[name, point]}.npy", picture.astype(np.float32))
    arguments = [sys.executable, "-c", CHILD, *map(str, paths.values())]
    subprocess.run(arguments, check=True, env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"})
    return {key: np.load(f"{path}.out.npy") for key, path in paths.items()}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", CASES)
def test_the_sums_are_those_of_openvino_on_a_cpu_without_vnni(without_vnni, name, point):
    products, values = drawn(name)
    exact, saturating = sums(products, values, point, ONEDNN)
    got = rows(name, without_vnni[name, point])
    assert got == pytest.approx(saturating * UNIT, abs=1e-4)
    runs_exact = name == "depthwise" or (name == "transposed" and point)
    assert (np.abs(saturating - exact).max() * UNIT > 1) == (not runs_exact)


@pytest.mark.parametrize("name", CASES)
def test_exact_sums_are_those_of_the_graph(name):
    products, values = drawn(name)
    picture = ((values.astype(np.int32) - 37) * np.float32(0.02)).astype(np.float32)
    expected = rows(name, literal(graph(name, 37)).run({"x": picture})["y"])
    for kernels in (MLAS, ONEDNN):
        assert sums(products, values, 37, kernels)[0] * UNIT == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_a_sample_is_a_part_of_the_whole(name):
    products, values = drawn(name)
    places = sampled(products, values.shape, 5)
    for part, whole in zip(sums(products, values, 9, MLAS, places), sums(products, values, 9, MLAS), strict=True):
        assert np.array_equal(part, whole[places])
    assert sampled(products, values.shape, 10**6) is None


def test_neighbours_differ_between_the_runtimes():
    """Three channels: oneDNN leaves the third alone, MLAS adds it to the first of the next place."""
    weight = np.zeros((1, 3, 1, 2), np.int8)
    weight[0, 2, 0, 0] = weight[0, 0, 0, 1] = 127
    products, values = Products.of("Conv", weight, {}), np.full((1, 3, 1, 2), 255, np.uint8)
    assert [sums(products, values, 0, kernels)[1].item() for kernels in (ONEDNN, MLAS)] == [255 * 254, HIGHEST]
    assert not can_saturate(products, ONEDNN)
    assert can_saturate(products, MLAS)


@pytest.mark.parametrize(("first", "second", "able"), [
    (64, 64, False), (65, 64, True), (-64, -64, False), (-65, -64, True), (127, -127, False), (127, 1, False),
    (127, 2, True), (-128, 0, False), (-128, -1, True),
])  # fmt: skip
def test_what_two_weights_can_do(first, second, able):
    products = Products.of("MatMul", np.array([[first], [second]], np.int8), {})
    brightest = np.array([[255, 255]], np.uint8)
    exact, saturating = sums(products, brightest, 0, ONEDNN)
    assert can_saturate(products, ONEDNN) == able == bool(exact != saturating)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(CASES)), st.sampled_from([MLAS, ONEDNN]))
def test_narrow_weights_never_saturate(seed, name, kernels):
    op, shape, given_, attributes = CASES[name]
    rng = np.random.default_rng(seed)
    products = Products.of(op, rng.choice([-NARROW, 0, NARROW], shape).astype(np.int8), attributes)
    assert not can_saturate(products, kernels)
    loss = measure(products, rng.choice([0, 255], given_).astype(np.uint8), 0, kernels)
    assert loss.decibels == NOISELESS


def test_losses_add_up():
    products, values = drawn("conv")
    whole = measure(products, values, 0, ONEDNN, scale=UNIT)
    halves = [measure(products, values, 0, ONEDNN, scale=UNIT, places=p) for p in np.split(np.arange(64), 2)]
    assert halves[0] + halves[1] == Loss(*(pytest.approx(v) for v in (whole.signal, whole.noise, whole.ratio)))
    exact, saturating = sums(products, values, 0, ONEDNN)
    expected = 10 * np.log10((exact**2.0).sum() / ((exact - saturating) ** 2.0).sum())
    assert whole.decibels == pytest.approx(expected)
    assert 1 < whole.ratio < 2
