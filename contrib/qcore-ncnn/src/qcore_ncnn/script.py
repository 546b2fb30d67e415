"""Template for `qcore snippet`."""

import ncnn
import numpy

BLOBS = {"images": "images"}
INPUTS = ["images"]
OUTPUTS = ["output0"]


def load(path):
    """A function from input tensors by name to output tensors by name."""
    net = ncnn.Net()
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        if hasattr(net.opt, "use_" + option):  # left alone, it may compute in 16 bits
            setattr(net.opt, "use_" + option, False)
    if net.load_param(path) or net.load_model(path.removesuffix("param") + "bin"):
        raise SystemExit(f"{path}: ncnn {ncnn.__version__} refuses it")

    def run(inputs):
        extractor = net.create_extractor()
        arrays = {name: numpy.ascontiguousarray(inputs[name][0]) for name in INPUTS}  # a Mat does not hold its array
        for name in INPUTS:
            extractor.input(BLOBS[name], ncnn.Mat(arrays[name]).clone())
        return {name: numpy.array(extractor.extract(BLOBS[name])[1])[None] for name in OUTPUTS}

    return run
