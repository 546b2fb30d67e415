"""The detector that ships with qcore, exported both ways, with a table of a few pictures."""

import pytest

import qcore


@pytest.fixture(scope="session")
def run(checkpoint, pictures):
    return qcore.recipe(checkpoint).with_quantizer("pytorch-quantization", calibration=pictures / "images").start()


@pytest.fixture(scope="session")
def data(run):
    return run.calibration()


@pytest.fixture(scope="session")
def exported(run):
    from qcore_plugins._shared.exporter.onnx import export_both

    return export_both(run.model("loaded").module, run.contract())


@pytest.fixture(scope="session")
def quantizer(run):
    return run.quantizer.create()


@pytest.fixture(scope="session")
def options(run):
    return run.quantizer_options


@pytest.fixture(scope="session")
def table(run):
    return run.model("quantizer").module
