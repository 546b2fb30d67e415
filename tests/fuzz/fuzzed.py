"""The kinds of files that are damaged, and the commands that read them."""

import random
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mutators
import onnx

import qcore
from qcore.plugin import KEY


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: What it is called.
        damage: (generator, whole content) -> damaged content.
        whole: The content that is damaged.
        file: Where it is written.
        commands: Of which one, drawn at random, is run on it.
    """

    name: str
    damage: Any
    whole: bytes
    file: Path
    commands: tuple[tuple[str, ...], ...]


def contract_of_onnx(generator, data):
    """An ONNX file with a damaged contract."""
    proto = onnx.load_from_string(data)
    (entry,) = [entry for entry in proto.metadata_props if entry.key == KEY]
    entry.value = mutators.json_text(generator, entry.value.encode()).decode("utf-8", "replace")
    return proto.SerializeToString()


def _node(generator, graph):
    node = generator.choice(graph.node)
    kind = generator.randrange(5)
    if kind == 0:
        node.op_type = generator.choice(("Conv", "Nothing", "", "Reshape", "QuantizeLinear", "Loop"))
    elif kind == 1 and node.input:
        node.input[generator.randrange(len(node.input))] = generator.choice(("", "none", graph.node[-1].output[0]))
    elif kind == 2:
        node.output[0] = generator.choice(("", graph.node[0].output[0]))
    elif kind == 3:
        del node.attribute[:]
    elif len(graph.node) > 1:
        graph.node.remove(node)


def _tensor(generator, graph):
    tensor = generator.choice(graph.initializer)
    kind = generator.randrange(3)
    if kind == 0:
        tensor.dims[:] = generator.choice(([], [1], [-1], [2**40], [0, 3]))
    elif kind == 1:
        tensor.data_type = generator.choice((0, 1, 6, 7, 10, 16, 22, 99))
    else:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", generator.choice(("weights", "../../etc/passwd", "/etc/passwd"))


def _shape(generator, graph):
    value = generator.choice((*graph.input, *graph.output))
    value.type.tensor_type.shape.dim.add().dim_value = generator.choice((-1, 0, 7, 2**40))


def fields_of_onnx(generator, data):
    """An ONNX file whose nodes, constants and shapes are damaged."""
    proto = onnx.load_from_string(data)
    for _ in range(generator.choice((1, 1, 2, 4))):
        generator.choice((_node, _tensor, _shape))(generator, proto.graph)
    return proto.SerializeToString()


def kinds(folder, checkpoint, exported, int8, pictures, canary):
    """All kinds.

    Args:
        folder: Where the damaged files go.
        checkpoint: Of the bundled detector.
        exported: The same as ONNX.
        int8: The same in INT8, with its table beside it.
        pictures: Folder with `images/` and `instances.json`.
        canary: File that a pickle that is executed makes.
    """
    picture = str(next(iter(sorted((pictures / "images").iterdir()))))
    small = qcore.recipe(exported).start()
    openvino = small.save(folder / "whole", to="openvino")
    table = next(int8.parent.glob("*.qtable"))
    labels = folder / "data"
    shutil.copytree(pictures / "images", labels / "images", dirs_exist_ok=True)
    (labels / "labels").mkdir(exist_ok=True)
    for image in (labels / "images").iterdir():
        (labels / "labels" / f"{image.stem}.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.3 0.3 0.1 0.1\n")
    yaml = f"path: {labels}\nval: images\nnames:\n  0: ellipse\n  1: rectangle\n  2: triangle\n".encode()
    coco = (pictures / "instances.json").read_bytes()
    recipe = b"""recipe = 1
file = "none.pt"
[quantizer]
name = "nncf"
calibration = "images"
[backend]
name = "openvino"
"""
    out, label = str(folder / "out"), f"{Path(picture).stem}.txt"

    def read(file):
        return ("inspect", file), ("predict", file, picture), ("check", file), ("contract", "show", file)

    def evaluated(file):
        return (("eval", str(exported), "--data", file),)

    def inspected(file):
        return (("inspect", file),)

    def of_table(file):
        return ("inspect", file), ("export", file, "--to", "onnx", "--profile", "openvino", "-o", out)

    def predicted(file):
        return (("predict", str(exported), file),)

    def of_recipe(file):
        return ("recipe", file), ("run", file, "-o", out)

    def kind(name, damage, whole, file, commands):
        return Kind(name, damage, whole, folder / file, commands(str(folder / file)))

    pickle = partial(mutators.pickled, canary=canary)
    weights = openvino.with_suffix(".bin").read_bytes()
    return [
        kind("contract in ONNX", contract_of_onnx, int8.read_bytes(), "contract.onnx", read),
        kind("ONNX bytes", mutators.raw, exported.read_bytes(), "bytes.onnx", read),
        kind("ONNX fields", fields_of_onnx, exported.read_bytes(), "fields.onnx", read),
        kind("scale table", mutators.archive, table.read_bytes(), "a.qtable", of_table),
        kind("OpenVINO xml", mutators.raw, openvino.read_bytes(), "whole/a.xml", read),
        kind("OpenVINO bin", mutators.raw, weights, "whole/a.bin", lambda file: read(file.replace(".bin", ".xml"))),
        kind("checkpoint bytes", mutators.raw, checkpoint.read_bytes(), "bytes.pt", inspected),
        kind("checkpoint pickle", pickle, checkpoint.read_bytes(), "pickle.pt", inspected),
        kind("data.yaml", mutators.lines, yaml, "data.yaml", evaluated),
        kind("label file", mutators.lines, (labels / "labels" / label).read_bytes(), f"data/labels/{label}",
             lambda _: evaluated(str(folder / "whole.yaml"))),
        kind("COCO json", mutators.json_text, coco, "data/coco.json", evaluated),
        kind("recipe", mutators.lines, recipe, "a.toml", of_recipe),
        kind("picture", mutators.raw, Path(picture).read_bytes(), "a.png", predicted),
    ]  # fmt: skip


def prepare(found, folder):
    """Write what lies beside damaged files, whole."""
    by_name = {each.name: each for each in found}
    (folder / "whole" / "a.xml").write_bytes(by_name["OpenVINO xml"].whole)
    (folder / "whole" / "a.bin").write_bytes(by_name["OpenVINO bin"].whole)
    (folder / "whole.yaml").write_bytes(by_name["data.yaml"].whole)


def cases(kind, count, seed=0):
    """Damaged content and a command, so many."""
    generator = random.Random(f"{seed} {kind.name}")
    for _ in range(count):
        yield kind.damage(generator, kind.whole), generator.choice(kind.commands)
