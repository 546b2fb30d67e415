"""Options that the loaders of detector checkpoints share."""

import qcore

NAMES = qcore.Option("names", "file with class names: one a line, or YAML or JSON such as data.yaml")
LOADING = (
    qcore.Option("imgsz", "input height and width in pixels", type=object),
    qcore.Option("head", "how far the graph goes: raw levels or decoded boxes", "decoded", str, ("decoded", "raw")),
    qcore.Option("batch", "batch size of the input, or dynamic", 1, object),
    NAMES,
)
CONFIG = qcore.Option("config", "YAML file with the rows of the network, for checkpoints that hold weights only")
DESCRIBING = (
    qcore.Option("family", "loader whose outputs and preprocessing the file has, where shapes do not tell"),
    NAMES,
    qcore.Option("imgsz", "height and width of a dynamic input", type=object),
)
