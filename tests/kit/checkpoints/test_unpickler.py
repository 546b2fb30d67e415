"""A checkpoint is data: nothing in it runs, and what cannot be data is refused by name."""

import functools
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import qcore
from qcore.plugin import FileError
from qcore_kit.checkpoints.plain import plain
from qcore_kit.checkpoints.unpickler import read_checkpoint
from qcore_plugins.formats.checkpoint.format import CheckpointFormat


class Calls:
    """An object whose pickle calls `function(*arguments)` when it is read."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def hostile(kind, target):
    command = f"touch {target}"
    return {
        "os.system": Calls(os.system, command),
        "eval": Calls(eval, f"open({str(target)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(target)!r}, 'w')"),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "getattr-called": Calls(map, Calls(getattr, Calls(__import__, "builtins"), "eval"), ["1"]),
        "partial": Calls(functools.partial, os.system, command),
        "nested": Calls(list, (Calls(os.system, command),)),
        "nested-in-state": OrderedDict(model={"weights": [Calls(os.system, command)]}),
        "import": Calls(__import__, "os"),
    }[kind]


KINDS = {
    "os.system": "system",
    "eval": "eval",
    "exec": "exec",
    "getattr": "getattr",
    "getattr-called": "map",
    "partial": "partial",
    "nested": "system",
    "nested-in-state": "system",
    "import": "__import__",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_hostile_pickle_is_refused_by_name_and_has_no_effect(tmp_path, kind, legacy):
    target = tmp_path / "was-here"
    path = tmp_path / "model.pt"
    torch.save({"model": hostile(kind, target)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(FileError, match=f"refused: the pickle references .*({KINDS[kind]})"):
        qcore.load(path)
    assert not target.exists()


def forward_fuse(self, x):
    return x


def harmful(self):
    raise AssertionError


def known(monkeypatch, name="models.common.Conv"):
    module, _, short = name.rpartition(".")
    for part in (module.split(".")[0], module):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    members = {"__module__": module, "forward_fuse": forward_fuse, "harmful": harmful}
    setattr(sys.modules[module], short, type(short, (torch.nn.Module,), members))
    return getattr(sys.modules[module], short)()


def test_a_bound_forward_is_a_name_and_nothing_that_could_be_called(tmp_path, monkeypatch):
    module = known(monkeypatch)
    module.forward = module.forward_fuse
    path = tmp_path / "model.pt"
    torch.save(module, path)
    data = read_checkpoint(path).data
    assert (data.state["forward"].owner, data.state["forward"].name) == (data, "forward_fuse")
    assert not callable(data.state["forward"])


@pytest.mark.parametrize(
    "content",
    [
        lambda module: Calls(getattr, module, "harmful"),
        lambda module: Calls(getattr, module, "__class__"),
        lambda module: Calls(getattr, type(module), "forward_fuse"),
        lambda _: Calls(getattr, [], "forward"),
        lambda _: Calls(getattr, {}, "pop"),
        lambda module: Calls(getattr, module, "forward_fuse", None),
    ],
    ids=["method", "dunder", "class", "list", "dict", "default"],
)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_getattr_of_anything_else_is_refused(tmp_path, monkeypatch, content, legacy):
    path = tmp_path / "model.pt"
    torch.save({"model": content(known(monkeypatch))}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(FileError):
        read_checkpoint(path)


def test_what_a_bound_forward_is_called_with_is_named(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    torch.save({"model": Calls(getattr, known(monkeypatch), "harmful")}, path)
    with pytest.raises(FileError, match=r"refused: the pickle references builtins\.getattr, which is neither"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "name",
    ["pytorch_quantization.nn.QuantConv2d", "thop.profile.Counter", "omegaconf.nodes.AnyNode", "torch_pruning.Pruner"],
)
def test_classes_of_training_packages_are_inert(tmp_path, monkeypatch, name):
    path = tmp_path / "model.pt"
    torch.save({"model": known(monkeypatch, name)}, path)
    assert read_checkpoint(path).data["model"].qualified == name


def test_an_unknown_class_is_no_alarm(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    torch.save({"model": known(monkeypatch, "somebody.blocks.Net")}, path)
    with pytest.raises(
        FileError, match=r"holds objects of somebody\.blocks\.Net, a class that qcore does not"
    ) as caught:
        read_checkpoint(path)
    assert "refused" not in caught.value.message
    assert "torch.save({'family'" in caught.value.hint


@pytest.mark.parametrize("function", [np.save, torch.load, torch.hub.load, functools.reduce, os.remove])
def test_functions_of_other_libraries_are_refused(tmp_path, function):
    path = tmp_path / "model.pt"
    torch.save({"model": Calls(function, "x")}, path)
    with pytest.raises(FileError, match="refused: the pickle references"):
        read_checkpoint(path)


def test_omegaconf_is_read_as_maps_and_lists(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"names": OmegaConf.create({"1": "b", "0": "a"}), "sizes": OmegaConf.create([3, [4]])}, path)
    data = read_checkpoint(path).data
    assert plain(data) == {"names": {"1": "b", "0": "a"}, "sizes": [3, [4]]}


def test_the_hostile_pickles_would_have_worked(tmp_path):
    target = tmp_path / "was-here"
    pickle.loads(pickle.dumps(hostile("os.system", target)))
    assert target.exists()


def test_dotted_names_do_not_reach_through_a_model_class(tmp_path):
    """Protocol 4 pickles may name attributes of attributes: `models.x.os.system` must not pass as a model class."""
    stream = b"\x80\x04\x8c\x0bmodels.yolo\x8c\tos.system\x93\x8c\x04true\x85R."
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    with pytest.raises(FileError, match="refused"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["torch._utils\n_rebuild_tensor_v2", "collections\nOrderedDict"])
def test_a_pickle_cannot_change_what_it_may_use(tmp_path, name):
    """GLOBAL name, then BUILD with (None, {"__doc__": "changed"}), which sets attributes."""
    stream = b"\x80\x02c" + name.encode() + b"\nN}U\x07__doc__U\x07changeds\x86b."
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    with pytest.raises(FileError):
        read_checkpoint(path)
    assert torch._utils._rebuild_tensor_v2.__doc__ != "changed"
    assert OrderedDict.__doc__ != "changed"


def test_arrays_are_read_and_what_arrays_of_objects_would_call_is_not(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"best": np.arange(6.0).reshape(2, 3), "fitness": np.float32(0.5)}, path)
    data = read_checkpoint(path).data
    assert data["best"].value.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert data["fitness"] == np.float32(0.5)
    torch.save({"names": np.array(["a", 1], dtype=object)}, path)
    assert read_checkpoint(path).data["names"].value.tolist() == ["a", 1]
    torch.save({"best": np.array([Calls(os.system, "true")], dtype=object)}, path)
    with pytest.raises(FileError, match="system"):
        read_checkpoint(path)


def test_truncated_zip(tmp_path):
    whole = tmp_path / "whole.pt"
    torch.save({"model": torch.zeros(1000)}, whole)
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole.read_bytes()[:1500])
    with pytest.raises(FileError, match=r"cut\.pt: cannot read this checkpoint"):
        qcore.load(cut)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"these are notes, not weights\n", "not a model file of a known format"),
        (b"\x80\x02garbage", "cannot read this checkpoint"),
    ],
    ids=["empty", "text", "garbage"],
)
def test_files_that_are_no_checkpoints(tmp_path, content, message):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message):
        qcore.load(path)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        qcore.load(tmp_path / "absent.pt")
    with pytest.raises(FileError, match="expected a file, got a directory"):
        qcore.load(tmp_path)


def test_state_dict_without_a_config_is_no_model(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(FileError, match="no loader recognises") as caught:
        qcore.load(path)
    assert caught.value.hint


def test_an_archive_whose_names_are_damaged_is_an_error_of_the_file(tmp_path):
    """One byte of a name in the archive's directory, of which zipfile itself says UnicodeDecodeError."""
    path = tmp_path / "damaged.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/gewichte-\u00e4", b"0")
    data = path.read_bytes()
    place = data.rindex("\u00e4".encode())
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    with pytest.raises(FileError, match=r"damaged\.pt"):
        qcore.recipe(path).start().model()


def test_torchscript_is_named_as_such(tmp_path):
    path = tmp_path / "scripted.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/constants.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/code/__torch__.py", "")
    assert CheckpointFormat().sniff(path)
    with pytest.raises(FileError, match="TorchScript"):
        read_checkpoint(path)


@pytest.mark.assets
@pytest.mark.parametrize("name", ["gelan-t-filled.pt", "yolov9-t-filled.pt", "ultralytics-yolov9t-filled.pt"])
def test_checkpoints_of_other_families_are_not_taken_for_yolov5(shared, name):
    with pytest.raises(FileError, match="no YOLOv5 detector"):
        qcore.load(shared / "checkpoints" / name, loader="yolov5")
