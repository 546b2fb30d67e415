"""Tiny detectors as exporters leave them: random convolutions, a decode, and what packages put behind it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)


class Net:
    """A graph that grows node by node; its values are named after the operations."""

    def __init__(self, size=(64, 64), channels=3, *, channels_last=False, dtype=np.float32, batch=1):
        self.size, self.rng = size, np.random.default_rng(1)
        self.nodes, self.stored = [], []
        shape = (batch, *size, channels) if channels_last else (batch, channels, *size)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.input = helper.make_tensor_value_info("images", kind, shape)
        self.picture, self.channels = "images", channels
        if np.dtype(dtype).kind != "f":
            self.picture = self.op("Mul", self.op("Cast", self.picture, to=1), np.float32(1 / 255))
        if channels_last:
            self.picture = self.op("Transpose", self.picture, perm=[0, 3, 1, 2])

    def const(self, value, dtype=None):
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        given = [value if isinstance(value, str) else self.const(value) for value in inputs]
        made = [f"{kind.lower()}{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, given, made, f"{kind.lower()}{len(self.nodes)}", **attributes))
        return made[0] if outputs == 1 else made

    def cells(self, strides=STRIDES):
        return [(self.size[0] // stride) * (self.size[1] // stride) for stride in strides]

    def level(self, stride, out, scale=1.0):
        """`[1, out, H / stride, W / stride]`."""
        weight = self.rng.normal(0, scale / stride, (out, self.channels, stride, stride)).astype(np.float32)
        return self.op("Conv", self.picture, weight, kernel_shape=[stride, stride], strides=[stride, stride])

    def values(self, out, strides=STRIDES, scale=1.0):
        """`[1, out, cells]` of all levels."""
        flat = [
            self.op("Reshape", self.level(stride, out, scale), np.array([1, out, count]))
            for stride, count in zip(strides, self.cells(strides), strict=True)
        ]
        return self.op("Concat", *flat, axis=2)

    def part(self, data, start, end, axis=1):
        return self.op("Slice", data, np.array([start]), np.array([end]), np.array([axis]))

    def grid(self, strides=STRIDES, half=0.5):
        """Middles `[1, 2, N]` in cells, and pixels per cell `[1, 1, N]`."""
        middles, steps = [], []
        for stride in strides:
            x, y = np.meshgrid(np.arange(self.size[1] // stride), np.arange(self.size[0] // stride))
            middles.append(np.stack((x.ravel(), y.ravel())) + half)
            steps.append(np.full((1, x.size), stride))
        return np.concatenate(middles, 1)[None].astype(np.float32), np.concatenate(steps, 1)[None].astype(np.float32)

    def corners(self, strides=STRIDES):
        """Two ends `[1, 2, N]` in pixels, from distances."""
        sides = self.op("Exp", self.values(4, strides, 0.3))
        middle, step = self.grid(strides)
        low = self.op("Sub", middle, self.part(sides, 0, 2))
        high = self.op("Add", middle, self.part(sides, 2, 4))
        return self.op("Mul", low, step), self.op("Mul", high, step)

    def centred(self, strides=STRIDES):
        """`[1, 4, N]` cx, cy, w, h in pixels."""
        low, high = self.corners(strides)
        middle = self.op("Div", self.op("Add", low, high), np.float32(2))
        return self.op("Concat", middle, self.op("Sub", high, low), axis=1)

    def scores(self, classes, strides=STRIDES):
        return self.op("Sigmoid", self.values(classes, strides))

    def model(self, *outputs, opset=17, **metadata):
        made = helper.make_graph(
            self.nodes,
            "net",
            [self.input],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.stored,
        )
        model = helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        for key, value in metadata.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        return model


def joined(classes=3, *, rows=False, corners=False, net=None):
    """YOLOv8's layout, its transposition, or that of YOLO26 before it selects."""
    net = net or Net()
    boxes = net.op("Concat", *net.corners(), axis=1) if corners else net.centred()
    whole = net.op("Concat", boxes, net.scores(classes), axis=1)
    return net, net.op("Transpose", whole, perm=[0, 2, 1]) if rows else whole


def anchored(classes=3, net=None, anchors=3, certain=None):
    """YOLOv5's layout: three boxes a cell, objectness; every class score may be one number."""
    net = net or Net()
    levels = []
    for stride in STRIDES:
        rows, columns = net.size[0] // stride, net.size[1] // stride
        shape = np.array([1, anchors, 5 + classes, rows, columns])
        raw = net.op("Reshape", net.level(stride, anchors * (5 + classes)), shape)
        soft = net.op("Sigmoid", net.op("Transpose", raw, perm=[0, 1, 3, 4, 2]))
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        place = np.stack((x, y), -1)[None, None].astype(np.float32) - np.float32(0.5)
        centre = net.op(
            "Mul", net.op("Add", net.op("Mul", net.part(soft, 0, 2, 4), np.float32(2)), place), np.float32(stride)
        )
        sizes = net.op("Mul", net.part(soft, 2, 4, 4), np.float32(4 * stride))
        scores = net.part(soft, 4, 5 + classes, 4)
        if certain is not None:
            kinds = np.full((1, anchors, rows, columns, classes), certain, np.float32)
            scores = net.op("Concat", net.part(soft, 4, 5, 4), kinds, axis=4)
        whole = net.op("Concat", centre, sizes, scores, axis=4)
        levels.append(net.op("Reshape", whole, np.array([1, anchors * rows * columns, 5 + classes])))
    return net, net.op("Concat", *levels, axis=1)


def yolox(classes=3, *, decoded=True):
    """YOLOX: one box a cell, objectness, boxes by exp and stride or left as they come."""
    net = Net()
    box, objectness, kinds = net.values(4, scale=0.3), net.scores(1), net.scores(classes)
    if decoded:
        place, step = net.grid(half=0.0)
        centre = net.op("Mul", net.op("Add", net.part(box, 0, 2), place), step)
        size = net.op("Mul", net.op("Exp", net.part(box, 2, 4)), step)
        box = net.op("Concat", centre, size, axis=1)
    whole = net.op("Concat", box, objectness, kinds, axis=1)
    return net, net.op("Transpose", whole, perm=[0, 2, 1])


def deepstream(source=joined, classes=3):
    """What DeepStream's exporter puts behind a network: corners, the best score, its class."""
    if source is joined:
        net = Net()
        low, high = net.corners()
        boxes = net.op("Transpose", net.op("Concat", low, high, axis=1), perm=[0, 2, 1])
        scores = net.op("Transpose", net.scores(classes), perm=[0, 2, 1])
    else:
        net, whole = source(classes)
        turn = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32)
        boxes = net.op("MatMul", net.part(whole, 0, 4, 2), turn)
        scores = net.op("Mul", net.part(whole, 5, 5 + classes, 2), net.part(whole, 4, 5, 2))
    best, label = net.op("TopK", scores, np.array([1]), outputs=2, axis=2)
    return net, net.op("Concat", boxes, best, net.op("Cast", label, to=TensorProto.FLOAT), axis=2)


def end_to_end(classes=3, kept=20, *, net=None):
    """YOLOv10 and YOLO26: the best boxes, with corners, score and class."""
    net = net or Net()
    low, high = net.corners()
    boxes = net.op("Transpose", net.op("Concat", low, high, axis=1), perm=[0, 2, 1])
    scores = net.op("Transpose", net.scores(classes), perm=[0, 2, 1])
    best = net.op("ReduceMax", scores, axes=[2], keepdims=0)
    _, at = net.op("TopK", best, np.array([kept]), outputs=2, axis=1)
    column = net.op("Unsqueeze", at, np.array([2]))
    picked = net.op("GatherElements", boxes, net.op("Tile", column, np.array([1, 1, 4])), axis=1)
    chosen = net.op("GatherElements", scores, net.op("Tile", column, np.array([1, 1, classes])), axis=1)
    flat = net.op("Reshape", chosen, np.array([1, kept * classes]))
    score, index = net.op("TopK", flat, np.array([kept]), outputs=2, axis=1)
    row = net.op("Unsqueeze", net.op("Div", index, np.array(classes)), np.array([2]))
    final = net.op("GatherElements", picked, net.op("Tile", row, np.array([1, 1, 4])), axis=1)
    kind = net.op("Cast", net.op("Mod", index, np.array(classes)), to=TensorProto.FLOAT)
    last = [net.op("Unsqueeze", value, np.array([2])) for value in (score, kind)]
    return net, net.op("Concat", final, *last, axis=2)


def apart(classes=3, *, softmax=True, net=None):
    """YOLO-NAS: corners `[1, N, 4]` and scores `[1, N, classes]`."""
    net = net or Net()
    low, high = net.corners()
    whole = net.op("Concat", low, high, axis=1)
    if softmax:
        ones = net.op("Softmax", net.op("Unsqueeze", whole, np.array([3])), axis=3)
        whole = net.op("Mul", whole, net.op("Squeeze", ones, np.array([3])))
    boxes = net.op("Transpose", whole, perm=[0, 2, 1])
    return net, boxes, net.op("Transpose", net.scores(classes), perm=[0, 2, 1])
