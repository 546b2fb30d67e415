"""Networks in PyTorch and ONNX speak of the same tensors, and fake quantization is the same in all of them."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.placement import place
from qcore_kit.quantization.table import Narrowing
from qcore_kit.quantization.writer import write
from qcore_plugins._shared.fakequant.distance import Distance
from qcore_plugins._shared.fakequant.network import Network
from qcore_plugins._shared.fakequant.quantizer import TRAINED_FOR
from qcore_plugins._shared.fakequant.simulated import fake_quantized
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO
from qcore_plugins.runtimes.tensorrt.profile import TENSORRT


def batch(data, count):
    return data.take(range(count))


def test_the_network_takes_any_batch_though_the_contract_says_one(run, exported, data):
    given = torch.from_numpy(batch(data, 3)["images"])
    with torch.no_grad():
        got, expected = Network.of(exported).module(given), run.model("loaded").module(given)
    got = got[0] if isinstance(got, (tuple, list)) else got
    assert torch.allclose(got, expected, atol=1e-3)
    assert run.contract().inputs[0].shape[0] == 1


def test_every_tensor_that_a_profile_quantizes_has_a_node(exported):
    network = Network.of(exported)
    wanted = {name for profile in (ONNXRUNTIME, OPENVINO, TENSORRT) for name in place(network.graph, profile).tensors}
    network.open_silus(wanted)
    assert wanted <= set(network.nodes)


def test_changing_the_network_leaves_the_model_alone(run, exported):
    network = Network.of(exported)
    before = {name: value.clone() for name, value in run.model("loaded").module.named_parameters()}
    with torch.no_grad():
        for value in network.module.parameters():
            value.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in run.model("loaded").module.named_parameters())
    again = dict(Network.of(exported).module.named_parameters())
    assert not any(torch.equal(value, again[name]) for name, value in network.module.named_parameters())


def test_a_network_computes_on_the_device_that_it_is_moved_to(run, exported):
    """`meta`, whose tensors have shapes and no values, refuses as a GPU does what is on another device."""
    device, network = torch.device("meta"), Network.of(exported)
    distance = Distance(network.graph, run.contract())
    network.to(device)
    given = network.giving(distance.tensors)(torch.zeros(2, *run.contract().inputs[0].shape[1:], device=device))
    assert {value.device for value in given} == {device}
    boxes, scores = distance._read(dict(zip(distance.tensors, given, strict=False)))
    assert {boxes.device, scores.device} == {device}


DEPTH = "conv2d_2"
"""So far from the input few values have been rounded the other way yet; see docs/quantization.md."""


def from_onnx_graph(written, feeds):
    written.graph.output.append(onnx.helper.make_empty_tensor_value_info(DEPTH))
    return literal(written).run(feeds)[DEPTH]


def from_network(network, feeds):
    with torch.no_grad():
        return network.giving([DEPTH])(torch.from_numpy(feeds["images"]))[0].numpy()


def same(one, other):
    """Equal but for rounding, where quantization itself changes every value."""
    return (np.abs(one - other) > 1e-3 * np.abs(other).max()).mean() < 0.02


@pytest.mark.parametrize("profile", [ONNXRUNTIME, OPENVINO], ids=lambda profile: profile.name)
def test_the_simulated_table_is_what_the_written_graph_says(exported, table, data, profile):
    feeds = batch(data, 1)
    written = from_onnx_graph(write(table, profile), feeds)
    assert same(from_network(fake_quantized(exported, table, profile), feeds), written)
    assert not same(from_network(Network.of(exported), feeds), written)


def test_the_packages_quantizers_give_what_the_table_says(exported, table, quantizer, data):
    """With every weight within +-64, which training sees as the file will have it."""
    feeds = batch(data, 1)
    narrow = replace(table, narrowed={TRAINED_FOR.name: Narrowing("everywhere", frozenset(table.weights))})
    placement = place(Network.of(exported).graph, TRAINED_FOR)
    wide, got = (
        quantizer.fake_quantized(exported, each.under(TRAINED_FOR), placement)
        for each in (replace(table, narrowed={}), narrow)
    )
    assert same(from_network(got, feeds), from_network(fake_quantized(exported, narrow, TRAINED_FOR), feeds))
    before, after = (quantizer.kit.amaxes(each.module.get_submodule("weight_quantizers")) for each in (wide, got))
    assert all(torch.allclose(after[path], amax * 127 / 64) for path, amax in before.items())


def test_branches_that_share_a_scale_share_a_quantizer(exported, table, quantizer):
    graph = Network.of(exported).graph
    placement = place(graph, TENSORRT)
    network = quantizer.fake_quantized(exported, table, placement)
    made = list(network.module.get_submodule("quantizers").children())
    assert len(made) == len(placement.groups()) < len(placement.tensors)


class Squeezing(torch.nn.Module):
    """Fully connected layers between convolutions, and transposed ones in groups."""

    def __init__(self, groups):
        super().__init__()
        self.first, self.last = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(8, 5, 1)
        self.down, self.up = torch.nn.Linear(16, 8), torch.nn.Linear(8, 16)
        self.wider = torch.nn.ConvTranspose2d(16, 16, 2, 2, groups=groups)
        self.before = torch.nn.Conv2d(16, 8, 1)

    def forward(self, x):
        x = torch.relu(self.first(x))
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3))))))
        return self.last(torch.relu(self.before(self.wider(x * gate.reshape(-1, 16, 1, 1))))).flatten(2)


@pytest.mark.parametrize("groups", [1, 4])
def test_weights_of_every_kind_are_rounded_along_their_output_channels(groups):
    """A Linear layer has them on axis 0, a MatMul on axis 1, whichever of them the exporter writes."""
    from qcore.plugin import Tensor
    from qcore_kit.detectors.contracts import contract
    from qcore_kit.quantization.calibration import ranges
    from qcore_kit.quantization.graph import from_onnx
    from qcore_kit.quantization.placement import candidates
    from qcore_kit.quantization.table import ScaleTable, weight_scales
    from qcore_plugins._shared.exporter.onnx import export_both

    torch.manual_seed(0)
    outputs = [Tensor("out0", "float32", (1, 5, 1024))]
    agreed = contract((1, 3, 16, 16), outputs, [], preprocess={}, postprocess={}, protocols={})
    exported = export_both(Squeezing(groups).eval(), agreed)
    graph = from_onnx(exported.proto)
    assert {node.op: node.axis for node in graph.weighted} == {"Conv": 0, "Gemm": 0, "ConvTranspose": 1}
    feeds = {graph.inputs[0]: np.random.default_rng(0).random((1, 3, 16, 16), np.float32)}
    found = ranges(exported.proto, graph, [feeds], "minmax")
    table = ScaleTable.make(exported.proto, found, weight_scales(graph, exported.proto), needed=candidates(graph))
    for profile in (ONNXRUNTIME, OPENVINO):
        network = fake_quantized(exported, table, profile)
        with torch.no_grad():
            got = network.module(torch.from_numpy(feeds[graph.inputs[0]]))
        got = (got[0] if isinstance(got, (tuple, list)) else got).numpy()
        expected = next(iter(literal(write(table, profile)).run(feeds).values()))
        assert np.abs(got - expected).mean() < 1e-5  # a few values lie between two steps
