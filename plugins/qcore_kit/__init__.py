"""Libraries for plugins, bundled or not: quantized graphs, boxes, pictures, checkpoints, exported files."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime starts, which otherwise uploads usage data
