"""Plant the fault that qcore finds: a file whose scales are computed at run time.

    qcore export car.pt --to onnx -o float
    python -m qcore_pointpillars.planted float/car.onnx planted.onnx

It is what `onnxruntime.quantization.quantize_dynamic` makes of the file: each convolution's input is quantized by the
smallest and largest value that this input has, so that one odd value in a cloud sets the scale of all others.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def plant(source, path):
    """Write the file with run-time scales, with the contract of the float one."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        quantize_dynamic(source, made, op_types_to_quantize=["Conv", "MatMul"], weight_type=QuantType.QUInt8)
        model = onnx.load(made)
    del model.metadata_props[:]
    for entry in onnx.load(source, load_external_data=False).metadata_props:
        model.metadata_props.add(key=entry.key, value=entry.value)
    onnx.save(model, path)


if __name__ == "__main__":
    plant(*sys.argv[1:3])
