"""Upstream's outputs: weights and inputs that follow from the names of a model's tensors."""

import json
import runpy

import numpy as np
import torch


def filled(shared, family, name):
    """The stored document, the weights by the rule, the input, and upstream's outputs by name."""
    rule = runpy.run_path(str(shared / "reference" / "fill_rule.py"))
    document = json.loads((shared / "reference" / family / f"{name}.json").read_text())
    weights = {}
    for key, (shape, kind) in document["state_dict"].items():
        if key in document["kept"]:
            weights[key] = torch.tensor(document["kept"][key])
        elif kind.startswith("float"):
            weights[key] = torch.from_numpy(rule["fill"](key, tuple(shape), document["gain"]))
        else:
            weights[key] = torch.zeros(shape, dtype=torch.long)
    outputs = dict(np.load(shared / "reference" / family / f"{name}.npz"))
    return document, weights, torch.from_numpy(rule["image"](*document["input"][2:])), outputs


def apart(got, expected):
    """Largest difference, as a part of the largest value."""
    return float(np.abs(np.asarray(got) - expected).max() / np.abs(expected).max())
