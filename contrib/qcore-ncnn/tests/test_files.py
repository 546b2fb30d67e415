"""What ncnn would crash on is refused in one line; the three files belong together."""

import hashlib
import json
import random
import shutil

import numpy as np
import pytest
from qcore_ncnn import conformance
from qcore_ncnn.format import NcnnFormat
from qcore_ncnn.layers import read, shapes

from qcore.plugin import FileError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return list(NcnnFormat().write(conformance.in_integers(), folder / "model.param"))[-1]


@pytest.fixture
def file(written, tmp_path):
    shutil.copytree(written.parent, tmp_path / "copy")
    return tmp_path / "copy" / written.name


def refusal(file):
    with pytest.raises(FileError) as caught:
        NcnnFormat().open(file)
    assert "\n" not in caught.value.message
    assert str(file.with_suffix("")) in caught.value.message
    assert caught.value.hint
    return caught.value.message


def rewritten(file, graph=None, weights=None):
    """Other content under hashes that are right, so that only the layers can be at fault."""
    beside = file.with_name(file.name + ".qcore.json")
    document = json.loads(beside.read_text())
    for path, content in ((file, graph), (file.with_suffix(".bin"), weights)):
        if content is not None:
            path.write_bytes(content)
            document["ncnn"][f"{path.suffix[1:]}_sha256"] = hashlib.sha256(content).hexdigest()
    beside.write_text(json.dumps(document))


def test_what_was_written_is_read(file):
    content = NcnnFormat().open(file)
    assert content.contract is not None
    assert content.form.profile == "ncnn"
    assert sum(layer.is_integer for layer in content.layers) == 3
    assert [each.suffix for each in NcnnFormat().files(file)] == [".bin", ".table", ".json", ".param"]


def test_the_table_for_other_tools_holds_every_scale(file):
    rows = [line.split() for line in file.with_suffix(".table").read_text().splitlines()]
    integer = [layer for layer in NcnnFormat().open(file).layers if layer.is_integer]
    assert [row[0] for row in rows] == [f"{each.name}_param_0" for each in integer] + [each.name for each in integer]
    for row, scales in zip(rows, [each.weights[place] for place in (-2, -1) for each in integer], strict=True):
        assert [np.float32(value) for value in row[1:]] == scales.tolist()


@pytest.mark.parametrize("suffix", [".bin", ".param.qcore.json"])
def test_a_missing_file_is_named(file, suffix):
    other = file.with_name(file.stem + suffix)
    other.unlink()
    assert f"{other.name} not found" in refusal(file)


def test_files_of_two_models_are_not_mixed(file, tmp_path):
    *_, other = NcnnFormat().write(conformance.in_float(), tmp_path / "model.param")
    shutil.copy(other.with_suffix(".bin"), file.with_suffix(".bin"))
    refusal(file)
    shutil.copy(other, file)
    assert "describes another file" in refusal(file)


def test_a_single_changed_weight_is_noticed(file):
    weights = bytearray(file.with_suffix(".bin").read_bytes())
    weights[8] ^= 1
    file.with_suffix(".bin").write_bytes(weights)
    assert "describes another file" in refusal(file)


CHANGES = {
    "the first line is not 7767517": lambda text: text.replace("7767517", "7767518", 1),
    "the second line does not count": lambda text: text.replace("\n", "\n-", 1),
    "layers are announced": lambda text: text[: text.rindex("\n", 0, -1) + 1],
    "which qcore-ncnn does not write": lambda text: text.replace("\nConvolution ", "\nPythonLayer ", 1),
    "no numbers of inputs": lambda text: text.replace("\nInput x 0 1 x", "\nInput x x", 1),
    "of these parameters cannot read": lambda text: text.replace(" 2=1 ", " 2=0 ", 1),
    "unknown parameter 19 of Convolution": lambda text: text.replace(" 8=1", " 8=1 19=1", 1),
    "is not a parameter": lambda text: text.replace(" 8=1", " 8=nan", 1),
    "which no earlier layer has left": lambda text: text.replace("1 1 x ", "1 1 y ", 1),
    "a weight of 2000000000 values": lambda text: text.replace("6=216", "6=2000000000", 1),
    "has no shape": lambda text: text.replace("0=12 ", "0=0 ", 1),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_wrong_graph_is_refused(file, fault):
    before = file.read_text()
    after = CHANGES[fault](before)
    assert after != before
    rewritten(file, graph=after.encode())
    assert fault in refusal(file)


def test_sizes_that_no_memory_holds_are_refused(file):
    lines = file.read_text().split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith("Input"))
    lines[place] = lines[place].replace("0=12 1=12", "0=99999 1=99999")
    rewritten(file, graph="\n".join(lines).encode())
    assert "makes a blob of shape [3, 99999, 99999]" in refusal(file)


@pytest.mark.parametrize("length", [0, 3, 100, -1])
def test_cut_or_longer_weights_are_refused(file, length):
    weights = file.with_suffix(".bin").read_bytes()
    rewritten(file, weights=weights[:length] if length >= 0 else weights + b"\0\0\0\0")
    assert "weights" in refusal(file)


def test_damage_that_is_read_still_runs(file):
    """Mutations whose hashes are right: refused, or computed by ncnn in the shapes that were foretold."""
    net = pytest.importorskip("qcore_ncnn.net", reason="needs ncnn")
    from qcore_ncnn.format import NcnnModel

    text, weights = file.read_text(), file.with_suffix(".bin").read_bytes()
    chance, ran = random.Random(0), 0
    for _ in range(300):
        words = text.split(" ")
        place = chance.randrange(1, len(words))
        key, sign, _ = words[place].partition("=")
        words[place] = key + sign + str(chance.choice([0, 1, 2, 3, 8, 12, -1, 2**31 - 1]))
        try:
            layers = read(" ".join(words), weights)
        except ValueError:
            continue
        made = shapes(layers)
        read_ = {name for layer in layers for name in layer.inputs}
        (start,) = [name for layer in layers if layer.kind == "Input" for name in layer.outputs]
        ends = [name for name in made if name not in read_]
        got = net.Net(NcnnModel(layers, {}), "test", threads=1).run({start: np.ones(made[start], np.float32)}, ends)
        assert {name: got[name].shape for name in ends} == {name: made[name] for name in ends}
        ran += 1
    assert ran > 10


@pytest.mark.parametrize("change", [{"blobs": {}}, {"blobs": 3}, {"blobs": {"x": "x"}}])
def test_a_contract_of_other_tensors_is_refused(file, change):
    beside = file.with_name(file.name + ".qcore.json")
    document = json.loads(beside.read_text())
    document["ncnn"].update(change)
    beside.write_text(json.dumps(document))
    with pytest.raises(FileError, match="of the contract not found"):
        NcnnFormat().open(file)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"ncnn": 3}', "{" * 5000])
def test_a_damaged_description_is_refused(file, text):
    file.with_name(file.name + ".qcore.json").write_text(text)
    with pytest.raises(FileError, match="not the description of an ncnn model"):
        NcnnFormat().open(file)
