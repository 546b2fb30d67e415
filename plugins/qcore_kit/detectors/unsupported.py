"""Networks that qcore does not read, by name: told from the shapes of their inputs and outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from qcore_kit.detectors.evidence import grid
from qcore_kit.detectors.network import Network

NMS = "NMS in the graph"
QUERIES = 1000
"""Most boxes that heads without cells give."""
FEW_CELLS = 1000
"""Numbers of classes and of chosen boxes reach as far; cells are more at all but the smallest inputs."""
DISTANCES = {4 * bins for bins in (8, 9, 16, 17)}
"""Values of a box whose sides are distributions over bins."""


def unsupported(network: Network) -> str | None:
    """What a network is, where its shapes alone say that it is nothing that qcore reads; None where they do not."""
    for rule in RULES:
        if name := rule(network, [output.shape for output in network.outputs]):
            return name
    return None


Shapes = list[tuple[int | str, ...]]


def _inputs(network: Network, _: Shapes) -> str | None:
    names = {tensor.name for tensor in network.inputs}
    if names & {"im_shape", "scale_factor"}:
        return "a PaddleDetection export with its own pre- and postprocessing (inputs im_shape, scale_factor)"
    if names & {"orig_target_sizes", "orig_im_size"}:
        return "a DETR-type network (RT-DETR, D-FINE) that takes the picture's size as a second input"
    if "Loop" in network.operations:
        return "a loop behind its convolutions (a sequence, as recognisers of text and tables give)"
    if len(network.inputs) != 1:
        return f"{len(network.inputs)} inputs ({', '.join(sorted(names))}); a detector has one, the picture"
    if len(network.inputs[0].shape) != 4:
        return f"its input {list(network.inputs[0].shape)} is no batch of pictures"
    return None


def _single(network: Network, shapes: Shapes) -> str | None:
    if len(shapes) != 1:
        return None
    shape = shapes[0]
    if len(shape) == 4:
        return _map(shape, network.size[0])
    return _matrix(shape, network.size) if len(shape) == 2 else None


def _matrix(shape: tuple[int | str, ...], size: tuple[int, int]) -> str:
    if any(isinstance(side, int) and side > FEW_CELLS and grid(side, size) for side in shape):
        return f"a detector whose output {list(shape)} has no axis for the batch"
    if shape[1] == 7:
        return f"a detector with {NMS} ([N, 7]: picture, box, class and score, as YOLOv7's exporter writes)"
    if shape[1] == 6:
        return f"a detector with {NMS} ([N, 6]: class, score and box, as PaddleDetection writes)"
    return f"an image classifier or embedding ({list(shape)}), no detector"


def _map(shape: tuple[int | str, ...], rows: int) -> str:
    channels, height = shape[1], shape[2]
    if channels == 1:
        return "a probability map (text detection such as DB, or segmentation), no boxes"
    if isinstance(height, int) and height * 4 >= rows:
        return f"a map of {channels} channels (segmentation), no boxes"
    return "one raw level of a head, whose boxes are not decoded"


def _maps(_: Network, shapes: Shapes) -> str | None:
    if len(shapes) < 2 or not all(len(shape) == 4 for shape in shapes):
        return None
    sizes = {shape[2:] for shape in shapes}
    widths = [shape[1] for shape in shapes]
    if len(sizes) == 1 and 2 in widths:
        return "CenterNet or CenterFace (a heatmap with sizes and offsets)"
    if len(sizes) == 1:
        return "several maps of one size (segmentation or keypoints)"
    return _raw(shapes)


def _raw(shapes: Shapes) -> str:
    if len({shape[1] for shape in shapes}) == 1 and len({shape[2:] for shape in shapes}) == len(shapes):
        return "the raw levels of a YOLO head, whose boxes are not decoded"
    if len(shapes) % 3 == 0 and 1 in {shape[1] for shape in shapes}:
        return "the raw levels of a head with boxes, objectness and classes apart (YOLOX, YOLOv6, YOLOv8 for an NPU)"
    return "the raw levels of a head, whose boxes are not decoded"


def _levels(_: Network, shapes: Shapes) -> str | None:
    if len(shapes) > 1 and all(len(shape) == 5 for shape in shapes):
        return "the raw levels of YOLOv3, v5 or v7, whose boxes are not decoded"
    return None


def _masks(_: Network, shapes: Shapes) -> str | None:
    ranks = sorted(len(shape) for shape in shapes)
    masks = [shape for shape in shapes if len(shape) == 4 and shape[1] == 32]
    return "instance segmentation (boxes with 32 mask prototypes)" if ranks == [3, 4] and masks else None


def _with_nms(network: Network, shapes: Shapes) -> str | None:
    names = {output.name for output in network.outputs}
    if {"num_dets", "num_detections", "num"} & names and len(shapes) == 4:
        return "a file with TensorRT's EfficientNMS in the graph"
    ranks = sorted(len(shape) for shape in shapes)
    if ranks in ([1, 1, 2], [1, 1, 2, 4], [2, 2, 3]) and any(shape and shape[-1] == 4 for shape in shapes):
        return f"a detector with {NMS} (boxes, labels and scores, as of torchvision or MMDetection)"
    return None


def _priors(network: Network, shapes: Shapes) -> str | None:
    """Heads of several outputs `[B, N, values]` or `[N, values]`."""
    rows = [shape[-2:] for shape in shapes if len(shape) in (2, 3)]
    if len(rows) != len(shapes) or len(rows) < 2:
        return None
    counts = Counter(count for count, _ in rows)
    widths = [width for _, width in rows]
    return _of_one_level(network, rows[0][0], widths) if len(counts) == 1 else _of_levels(counts, widths)


def _of_levels(counts: Counter[int | str], widths: list[int | str]) -> str | None:
    pairs = len(widths) >= 4 and set(counts.values()) == {2}
    half = len(widths) // 2
    if pairs and any(widths.count(width) == half for width in DISTANCES):
        return "GFL, as in NanoDet and PicoDet (levels of class scores and of distributions of distances)"
    if pairs and widths.count(1) >= half:
        return "an SSD of MediaPipe's kind (BlazeFace, palm detection): scores and offsets to anchors, level by level"
    if len(widths) in (6, 9) and set(widths) <= {1, 2, 4, 8, 10, 20}:
        return "SCRFD (scores, distances and landmarks, level by level)"
    if len(widths) == 12:
        return "YuNet (classes, objectness, boxes and landmarks, level by level)"
    return None


def _of_one_level(network: Network, count: int | str, widths: list[int | str]) -> str | None:
    several = {
        "RetinaFace or a relative (an SSD: offsets to priors, scores and landmarks)": 4 in widths
        and len(widths) == 3
        and bool({8, 10} & set(widths)),
        "DeepStream's exporter in its form with three outputs (boxes, scores, classes)": len(widths) == 3
        and sorted(map(str, widths)) == ["1", "1", "4"],
        "an SSD of MediaPipe's kind (BlazeFace, palm detection): scores and offsets to anchors": len(widths) == 2
        and 1 in widths
        and bool({16, 18} & set(widths)),
    }
    if name := next((name for name, fits in several.items() if fits), None):
        return name
    if len(widths) != 2 or 4 not in widths or not isinstance(count, int) or grid(count, network.size) is not None:
        return None
    few = count <= QUERIES
    return (
        "a DETR-type network (boxes and class logits of queries)" if few else "an SSD (offsets to priors, and scores)"
    )


RULES: tuple[Callable[[Network, Shapes], str | None], ...] = (
    _inputs,
    _single,
    _masks,
    _levels,
    _maps,
    _with_nms,
    _priors,
)
