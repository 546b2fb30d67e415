"""Checkpoints as upstream's training pickles them, made of networks that are built here."""

import copy
import sys
import types

import pytest
import torch
from torch import nn

NAMES = {
    "RepConv": "RepConvN", "FusedRepConv": "RepConvN", "RepBottleneck": "RepNBottleneck", "RepCSP": "RepNCSP",
    "RepCSPELAN": "RepNCSPELAN4", "ELAN": "ELAN1", "Expectation": "DFL", "Head": "DDetect",
}  # fmt: skip
"""Classes here -> upstream's."""


class Modules:
    """Stand-in modules `models.common` and `models.yolo`, whose classes are made when something is to be pickled."""

    def __init__(self, monkeypatch):
        self.patch = monkeypatch

    def kind(self, dotted, base):
        module, _, name = dotted.rpartition(".")
        for part in (module.split(".")[0], module):
            if part not in sys.modules:
                self.patch.setitem(sys.modules, part, types.ModuleType(part))
        made = getattr(sys.modules[module], name, None)
        if made is None or not issubclass(made, base):
            made = type(name, (base,), {"__module__": module, "forward_fuse": getattr(base, "forward", None)})
            setattr(sys.modules[module], name, made)
        return made

    def upstream(self, network, **attributes):
        """A copy of the network as `models.yolo.DetectionModel` holds it."""
        body = copy.deepcopy(network.model)
        for part in list(body.modules()):
            if type(part).__module__.startswith("qcore_plugins."):
                name = NAMES.get(type(part).__name__, type(part).__name__)
                part.__class__ = self.kind(f"models.common.{name}", type(part))
        whole = self.kind("models.yolo.DetectionModel", nn.Module)()
        whole.model = body
        known = {"yaml": network.config, "names": list(network.names), "nc": network.nc}
        for name, value in {**known, **attributes}.items():
            setattr(whole, name, value)
        return whole

    def wrapped(self, dotted, inner, member="model", **attributes):
        """The module inside another."""
        made = self.kind(dotted, nn.Module)()
        for name, value in {member: inner, **attributes}.items():
            setattr(made, name, value)
        return made


@pytest.fixture
def modules(monkeypatch):
    return Modules(monkeypatch)


@pytest.fixture
def saved(tmp_path):
    """Save anything as a checkpoint."""

    def save(content):
        path = tmp_path / "model.pt"
        torch.save(content, path)
        return path

    return save
