"""Libraries for plugins, bundled or not: quantized graphs, boxes, pictures, checkpoints, exported files."""
