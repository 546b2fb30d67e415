"""The detector that ships with qcore, exported both ways, with a table of a few pictures."""

import pytest

import qcore


@pytest.fixture(scope="session")
def pipeline(checkpoint, pictures):
    return qcore.pipeline(weights=checkpoint).quantize("pytorch-quantization", calibration=pictures / "images").load()


@pytest.fixture(scope="session")
def data(pipeline):
    return pipeline.calibration()


@pytest.fixture(scope="session")
def exported(pipeline):
    from qcore_plugins._shared.exporter.onnx import export_both

    return export_both(pipeline.loaded.module, pipeline.loaded.contract)


@pytest.fixture(scope="session")
def quantizer(pipeline):
    return pipeline.quantization.quantizer.create()


@pytest.fixture(scope="session")
def options(pipeline):
    return pipeline.quantization.options


@pytest.fixture(scope="session")
def table(pipeline):
    return pipeline.quantized().loaded.module
