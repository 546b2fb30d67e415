"""Libraries for plugins, bundled or not: quantized graphs, boxes, pictures, checkpoints, exported files."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime starts, which otherwise uploads usage data
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))  # read once, when OpenCV is imported; 800 MB a picture
