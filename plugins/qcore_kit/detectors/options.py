"""Options that the loaders of detector checkpoints share."""

from qcore.plugin import Option

NAMES = Option("names", "file with class names: one a line, or YAML or JSON such as data.yaml")
LOADING = (
    Option("imgsz", "input height and width in pixels", type=object),
    Option("head", "how far the graph goes: raw levels or decoded boxes", "decoded", str, ("decoded", "raw")),
    Option("batch", "batch size of the input, or dynamic", 1, object),
    NAMES,
)
CONFIG = Option("config", "YAML file with the rows of the network, for checkpoints that hold weights only")
DESCRIBING = (
    Option("family", "loader whose outputs and preprocessing the file has, where shapes do not tell"),
    NAMES,
    Option("imgsz", "height and width of a dynamic input", type=object),
)
