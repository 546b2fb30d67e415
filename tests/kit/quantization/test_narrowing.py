"""Which layers are kept within +-64 for CPUs without VNNI, and what the files and contracts then say."""

import json

import numpy as np
import onnx
import openvino
import pytest
from onnx import helper, numpy_helper

import qcore
from qcore.plugin import Form, Model, QuantizerSpec, Silent, Tensor, UsageError
from qcore_kit.detectors.contracts import contract
from qcore_kit.quantization.calibration import ranges
from qcore_kit.quantization.graph import from_onnx
from qcore_kit.quantization.literal import literal
from qcore_kit.quantization.narrowing import narrowed, recorded
from qcore_kit.quantization.placement import candidates, place
from qcore_kit.quantization.table import ScaleTable, weight_scales
from qcore_kit.quantization.writer import write
from qcore_plugins.quantizers.nncf.quantizer import OVERFLOW
from qcore_plugins.runtimes.onnxruntime.profile import ONNXRUNTIME
from qcore_plugins.runtimes.openvino.profile import OPENVINO
from qcore_plugins.runtimes.tensorrt.profile import TENSORRT

PROFILES = {profile.name: profile for profile in (ONNXRUNTIME, OPENVINO, TENSORRT)}


class Data:
    """Calibration inputs that are there already."""

    sha256, judge = "", None

    def __init__(self, inputs):
        self.inputs = inputs

    def __len__(self):
        return len(self.inputs)

    count = property(__len__)

    def take(self, places):
        return {"x": np.concatenate([self.inputs[index] for index in places])}

    def __iter__(self):
        return iter({"x": each} for each in self.inputs)


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def bright(channels=4, count=3):
    """Pictures with much white."""
    rng = np.random.default_rng(0)
    drawn = (rng.random((1, channels, 12, 12)).astype(np.float32) for _ in range(count))
    return Data([np.where(each < 0.5, np.float32(1), each) for each in drawn])


def scattered(rng, *shape):
    """Weights of which no two neighbouring ones are large and of one sign."""
    weight = rng.uniform(0.9, 1, shape).astype(np.float32)
    return weight * np.resize([1, -1], shape[1])[:, None, None].astype(np.float32) * 0.1


def network(weights):
    """Convolutions, each followed by a Relu, with a decode behind the last."""
    node, nodes, name = helper.make_node, [], "x"
    for number, weight in enumerate(weights, 1):
        pads = [weight.shape[2] // 2, weight.shape[3] // 2] * 2
        nodes += [
            node("Conv", [name, f"layer{number}.weight"], [f"c{number}"], f"conv{number}", pads=pads),
            node("Relu", [f"c{number}"], [f"r{number}"], f"relu{number}"),
        ]
        name = f"r{number}"
    nodes.append(node("Sigmoid", [name], ["out"], "scores"))
    float_ = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", float_, [1, weights[0].shape[1], 12, 12])],
        [helper.make_tensor_value_info("out", float_, [1, weights[-1].shape[0], 12, 12])],
        [numpy_helper.from_array(weight, f"layer{number}.weight") for number, weight in enumerate(weights, 1)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def table_of(proto, data):
    graph = from_onnx(proto)
    found = ranges(proto, graph, data, "minmax")
    return ScaleTable.make(proto, found, weight_scales(graph, proto), needed=candidates(graph))


def largest(proto):
    """Weight -> the largest magnitude that is stored."""
    return {
        tensor.name.removesuffix("_quantized"): int(np.abs(numpy_helper.to_array(tensor).astype(int)).max())
        for tensor in proto.graph.initializer
        if tensor.name.endswith("weight_quantized")
    }


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def saturating(rng):
    """A first layer that saturates on white, a second that does not, and the last, which stays float."""
    first = rng.uniform(0.05, 0.1, (8, 4, 3, 3)).astype(np.float32)
    return network([first, scattered(rng, 8, 8, 3, 3), scattered(rng, 4, 8, 1, 1)])


def test_a_first_layer_that_saturates_is_found_and_nothing_but_numbers_changes(saturating):
    heard = Heard()
    before = table_of(saturating, bright())
    table = narrowed(before, bright(), "selective", heard)
    for profile in (ONNXRUNTIME, OPENVINO):
        assert table.narrowed[profile.name].weights == {"layer1.weight"}
        assert largest(write(table, profile)) == {"layer1.weight": 64, "layer2.weight": 127}
        one, other = write(before, profile), write(table, profile)
        assert list(one.graph.node) == list(other.graph.node)
        assert [(t.name, t.dims, t.data_type) for t in one.graph.initializer] == [
            (t.name, t.dims, t.data_type) for t in other.graph.initializer
        ]
    assert largest(write(table, TENSORRT)) == {"layer1.weight": 127, "layer2.weight": 127}
    (line,) = heard.lines
    assert "for CPUs without VNNI" in line
    assert "layer1 (" in line
    assert "layer2" not in line


def test_weights_within_64_lose_a_bit_and_not_their_meaning(saturating):
    data = bright()
    table = narrowed(table_of(saturating, data), data, "selective", Silent())
    expected = literal(saturating).run(data.take([0]))["out"]
    assert literal(write(table, OPENVINO)).run(data.take([0]))["out"] == pytest.approx(expected, abs=0.01)


def test_a_first_layer_that_no_picture_can_saturate_is_left_alone(rng):
    proto = network([scattered(rng, 8, 4, 3, 3), scattered(rng, 4, 8, 1, 1)])
    heard = Heard()
    table = narrowed(table_of(proto, bright()), bright(), "selective", heard)
    assert all(not each.weights for each in table.narrowed.values())
    assert heard.lines == []


def test_a_first_layer_that_can_saturate_is_narrowed_though_these_pictures_do_not_show_it(saturating):
    """Dark pictures with one white pixel, which no sample meets."""
    dark = np.full((1, 4, 12, 12), 0.1, np.float32)
    dark[0, :, 0, 0] = 1
    data = Data([dark])
    seen = narrowed(table_of(saturating, data), data, "selective", Silent()).narrowed["openvino"]
    assert "layer1.weight" in seen.weights


def test_a_layer_within_is_narrowed_by_what_it_loses(rng):
    within = rng.uniform(0.05, 0.1, (8, 8, 3, 3)).astype(np.float32)
    proto = network([np.abs(scattered(rng, 8, 4, 3, 3)), within, scattered(rng, 4, 8, 1, 1)])
    found = narrowed(table_of(proto, bright()), bright(), "selective", Silent()).narrowed["openvino"]
    assert found.losses["layer2.weight"][0] < 40
    assert found.losses["layer2.weight"][1] > 1
    assert "layer2.weight" in found.weights


def test_a_weight_that_layers_share_is_narrowed_with_them(rng):
    """As in heads that look at every level with the same weights."""
    shared = rng.uniform(0.05, 0.1, (8, 8, 1, 1)).astype(np.float32)
    proto = network([scattered(rng, 8, 8, 3, 3), shared, shared, scattered(rng, 8, 8, 1, 1)])
    next(node for node in proto.graph.node if node.name == "conv3").input[1] = "layer2.weight"
    table = narrowed(table_of(proto, bright(8)), bright(8), "selective", Silent())
    assert table.narrowed["openvino"].weights == {"layer2.weight"}
    assert largest(write(table, OPENVINO))["layer2.weight"] == 64


def test_each_runtime_narrows_what_its_own_pairs_saturate(rng):
    """Three channels: the third and, one place on, the first are neighbours in ONNX Runtime and not in OpenVINO."""
    first = np.zeros((8, 3, 1, 2), np.float32)
    first[:, 2, 0, 0] = first[:, 0, 0, 1] = 1
    proto = network([first, scattered(rng, 4, 8, 1, 1)])
    table = narrowed(table_of(proto, bright(3)), bright(3), "selective", Silent())
    assert table.narrowed["onnxruntime"].weights == {"layer1.weight"}
    assert table.narrowed["openvino"].weights == set()
    assert [largest(write(table, profile)) for profile in (ONNXRUNTIME, OPENVINO)] == [
        {"layer1.weight": 64},
        {"layer1.weight": 127},
    ]


def test_everywhere_is_every_layer_and_is_said_to_cost_accuracy(saturating):
    heard = Heard()
    table = narrowed(table_of(saturating, bright()), bright(), "everywhere", heard)
    assert set(largest(write(table, OPENVINO)).values()) == {64}
    assert "3 layers" in heard.lines[0]
    assert "costs accuracy" in heard.lines[0]


def test_ignore_changes_nothing(saturating):
    heard = Heard()
    before = table_of(saturating, bright())
    table = narrowed(before, bright(), "ignore", heard)
    assert heard.lines == []
    for profile in PROFILES.values():
        assert write(table, profile) == write(before, profile)


def test_what_was_found_survives_in_the_table_and_older_tables_are_read(saturating):
    before = table_of(saturating, bright())
    table = narrowed(before, bright(), "selective", Silent())
    said = json.loads(json.dumps(table.to_dict()))
    again = ScaleTable.from_dict(saturating, said)
    assert again.narrowed == table.narrowed
    assert write(again, OPENVINO) == write(table, OPENVINO)
    assert "narrowed" not in before.to_dict()
    del said["narrowed"]
    assert write(ScaleTable.from_dict(saturating, said), OPENVINO) == write(before, OPENVINO)


def test_the_record_names_the_worst_layer_and_the_worst_that_was_left(saturating):
    table = narrowed(table_of(saturating, bright()), bright(), "selective", Silent())
    quantized = place(from_onnx(saturating), OPENVINO).weighted
    found = recorded(table.narrowed["openvino"], quantized)
    assert (found["mode"], found["narrowed"], found["inputs"]) == ("selective", ["layer1"], 3)
    assert found["worst"]["layer"] == "layer1"
    assert found["worst"]["db"] < 40
    assert found["worst"]["ratio"] > 1
    assert found["worst_left"] == {"layer": "layer2", "db": 200.0, "ratio": 0.0}


def test_dynamic_batches_and_few_inputs_are_measured_too(saturating):
    saturating.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    del saturating.graph.output[0].type.tensor_type.shape.dim[:]
    data = bright(count=1)
    found = narrowed(table_of(saturating, data), data, "selective", Silent()).narrowed["openvino"]
    assert (found.inputs, found.weights) == (1, {"layer1.weight"})


@pytest.fixture(scope="module")
def detector(exported):
    return qcore.recipe(exported)


def test_the_contract_and_a_table_on_disk_tell_what_was_narrowed(detector, pictures, tmp_path):
    run = detector.with_quantizer("onnxruntime", calibration=pictures / "images", limit=4).start()
    made = run.vary(run.recipe.with_backend("openvino")).model()
    found = made.contract.provenance["quantization"]["saturation"]
    assert found["mode"] == "selective"
    assert found["inputs"] == 4
    assert found["narrowed"] == [each for each in found["narrowed"] if "conv" in each]
    assert found["worst"]["db"] <= found["worst_left"]["db"]
    saved = run.save(tmp_path, to="table")
    again = qcore.recipe(saved).with_backend("openvino").start().model()
    assert again.contract.provenance["quantization"]["saturation"] == found


@pytest.mark.parametrize("quantizer", ["onnxruntime", "pytorch-quantization", "modelopt", "nncf"])
def test_a_misspelt_value_is_refused_with_what_was_meant(detector, quantizer):
    with pytest.raises(UsageError, match=r"did you mean everywhere\?"):
        detector.with_quantizer(quantizer, calibration=[], saturation="everywere").start()
    with pytest.raises(UsageError, match=r"did you mean saturation\?"):
        detector.with_quantizer(quantizer, calibration=[], saturaton="ignore").start()


@pytest.mark.parametrize("mode", OVERFLOW)
def test_nncf_is_told_and_the_contract_says_what_it_did(saturating, mode):
    said = [Tensor("out", "float32", (1, 4, 12, 12))]
    agreed = contract((1, 4, 12, 12), said, [], preprocess={}, postprocess={}, protocols={})
    model = Model(
        Form("openvino", encoding="float"), openvino.Core().read_model(saturating.SerializeToString()), agreed
    )
    spec = qcore.plugins.get(QuantizerSpec, "nncf")
    options = spec.settings({"saturation": mode})
    made = spec.create().quantize(model, calibration=bright(), options=options, progress=Silent())
    found = made.contract.provenance["quantization"]["saturation"]
    fix = {"selective": "first_layer_only", "everywhere": "enable", "ignore": "disable"}[mode]
    every = ["layer1", "layer2", "layer3"]
    assert found == {
        "mode": mode,
        "overflow_fix": fix,
        "narrowed": {"selective": every[:1], "everywhere": every, "ignore": []}[mode],
    }
