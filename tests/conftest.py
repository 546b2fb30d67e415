"""What several tests share."""

import json
import os
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure():
    """A worker of pytest-xdist keeps to one core: runtimes that start a thread for each would wait for one another."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


LONG = ("real/test_yolov5n", "fakequant/test_training", "real/test_compare", "onnx/test_heads", "real/test_other")
"""Files that take minutes: begun first, they leave no worker waiting for another at the end."""


def pytest_collection_modifyitems(items):
    """The longest files first, each in its own order."""
    items.sort(key=lambda item: next((place for place, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def exports_once():
    """The same weights under the same contract are exported once a worker: PyTorch takes seconds for it.

    Tests of the exporter itself call it by its own name, which is left alone.
    """
    import copy
    import hashlib
    import warnings
    from dataclasses import replace
    from functools import wraps

    try:
        from qcore_plugins._shared.exporter import onnx as exporter
        from qcore_plugins._shared.fakequant import network
        from qcore_plugins.formats.onnx import convert
    except ImportError:  # nothing is exported without PyTorch
        yield
        return

    def once(function):
        kept = {}

        @wraps(function)
        def call(module, contract):
            digest = hashlib.sha256(f"{module}{contract.inputs}{contract.outputs}".encode())
            for name, value in module.state_dict().items():
                digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
            key = digest.digest()
            if key not in kept:
                if len(kept) == 12:
                    kept.pop(next(iter(kept)))
                kept[key] = function(module, contract)
            made = kept[key]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of PyTorch, about how it copies its own graphs
                if isinstance(made, tuple):
                    return copy.deepcopy(made)
                return replace(made, module=copy.deepcopy(made.module), proto=copy.deepcopy(made.proto))

        return call

    with pytest.MonkeyPatch.context() as patch:
        both = once(network.export_both)  # made of `export`, which it looks up in its own module
        patch.setattr(exporter, "export", once(exporter.export))
        patch.setattr(convert, "export", exporter.export)
        patch.setattr(network, "export_both", both)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real weights, pictures and upstream's outputs; tests that need it are skipped without it."""
    folder = Path(os.environ.get("QCORE_SHARED") or ROOT.parent / "shared")
    if not (folder / "assets").is_dir():
        pytest.skip(
            "real weights and pictures are not here: set QCORE_SHARED to the folder that holds assets/ and reference/"
        )
    return folder


@pytest.fixture(scope="session")
def upstream(shared):
    """Family and name -> the stored document, weights by the fill rule, the input, and upstream's outputs by name."""
    rule = runpy.run_path(str(shared / "reference" / "fill_rule.py"))

    def filled(family, name):
        import numpy as np
        import torch

        folder = shared / "reference" / family
        document = json.loads((folder / f"{name}.json").read_text())
        weights = {}
        for key, (shape, kind) in document["state_dict"].items():
            if key in document["kept"]:
                weights[key] = torch.tensor(document["kept"][key])
            elif kind.startswith("float"):
                weights[key] = torch.from_numpy(rule["fill"](key, tuple(shape), document["gain"]))
            else:
                weights[key] = torch.zeros(shape, dtype=torch.long)
        picture = torch.from_numpy(rule["image"](*document["input"][2:]))
        return document, weights, picture, dict(np.load(folder / f"{name}.npz"))

    return filled


@pytest.fixture(scope="session")
def apart():
    """Largest difference of two arrays, as a part of the largest value of the second."""
    import numpy as np

    return lambda got, expected: float(np.abs(np.asarray(got) - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The detector that ships with qcore."""
    from qcore_plugins.tools.demo.command import CHECKPOINT

    return CHECKPOINT


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """A folder with labelled pictures: `images/` and `instances.json`."""
    from qcore_plugins.tools.demo import shapes

    folder = tmp_path_factory.mktemp("pictures")
    shapes.write(folder, 12, seed=99)
    return folder


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory) -> Path:
    """That detector as ONNX, at its own size."""
    import qcore

    return qcore.recipe(checkpoint).start().save(tmp_path_factory.mktemp("exported"), to="onnx")


@pytest.fixture(scope="session")
def int8(exported, pictures, tmp_path_factory) -> Path:
    """And quantized for ONNX Runtime."""
    import qcore

    made = (
        qcore.recipe(exported)
        .with_quantizer("onnxruntime", calibration=pictures / "images")
        .with_backend("onnxruntime")
    )
    return made.start().save(tmp_path_factory.mktemp("int8"))


@pytest.fixture(scope="session")
def trained(checkpoint, pictures):
    """A short training, ready to be converted."""
    import qcore

    options = {"qat": True, "batch": 2, "steps": 20}
    made = qcore.recipe(checkpoint).with_quantizer("pytorch-quantization", calibration=pictures / "images", **options)
    run = made.start()
    run.model("quantizer")
    return run


@pytest.fixture(scope="session")
def engine_weights():
    """Bytes that the weights of an ONNX graph take in the engine that TensorRT for RTX builds of it, without a GPU."""
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    from qcore_plugins.runtimes.tensorrt.building import run
    from qcore_plugins.runtimes.tensorrt.child import Request

    def build(proto):
        asked = Request(package="tensorrt_rtx", onnx="", compute_capability=["8.9"], verbose=True)
        built = run(asked, proto.SerializeToString())
        assert built.plan, built.errors
        return next(int(line.split(":")[-1].split()[0]) for line in built.log if "Total Weights Memory" in line)

    return build
