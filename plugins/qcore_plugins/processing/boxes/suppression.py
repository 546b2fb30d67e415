"""Non-maximum suppression inside the graph: standard ONNX operators, four outputs of fixed size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from qcore.plugin import Model, NoRoute, Progress, Tensor, UsageError
from qcore_kit.layouts import HasTail, layout_of

OUTPUTS = ("counts", "boxes", "scores", "classes")
"""int64 `[B, 1]`, float32 `[B, N, 4]` left, top, right, bottom in input pixels, float32 `[B, N]`, int64 `[B, N]`; what
lies behind the count is -1."""
UNLIMITED = 30000
"""Candidates from which on they are not limited before the suppression."""


class AppendNms:
    """Puts the suppression behind a decoded head, with the thresholds of the contract."""

    def convert(self, model: Model, *, options: Mapping[str, Any], progress: Progress) -> Model:  # noqa: ARG002
        """The graph with four outputs, float or quantized.

        Raises:
            NoRoute: The head is raw, or classes are to suppress each other.
        """
        contract = model.contract
        params = dict(contract.postprocess.params)
        if params.get("class_agnostic"):
            raise NoRoute("class-agnostic NMS cannot be exported into the graph", hint="omit --head nms")
        graph = _Graph(model.module)
        boxes, scores, rows = _decoded(graph, contract.outputs)
        classes = len(contract.classes)
        batch = contract.inputs[0].shape[0]
        kept = _suppressed(graph, boxes, scores, rows, classes, batch, params)
        postprocess: dict[str, Any] = {
            name: params[name] for name in ("confidence", "iou", "max_detections") if name in params
        }
        shapes = ((batch, 1), (batch, kept, 4), (batch, kept), (batch, kept))
        kinds = ("int64", "float32", "float32", "int64")
        described = tuple(
            Tensor(name, kind, shape, None, name, "nms", postprocess)
            for name, kind, shape in zip(OUTPUTS, kinds, shapes, strict=True)
        )
        proto = graph.finished(described)
        return model.evolve(
            form=replace(model.form, head="nms"), module=proto, contract=replace(contract, outputs=described)
        )


class _Graph:
    """A graph that nodes are added to."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(proto)
        self._count = 0
        for node in self.proto.graph.node:  # the names of the four outputs have to be free
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    names[place] = self.free(name)

    @staticmethod
    def free(name: str) -> str:
        """Another name for a tensor that has one of the four outputs'."""
        return f"decoded_{name}" if name in OUTPUTS else name

    def add(self, op: str, *inputs: str, outputs: int = 1, name: str = "", **attributes: Any) -> Any:
        """Add a node; gives the name of its output, or the names."""
        self._count += 1
        names = [f"nms_{op}_{self._count}_{index}" for index in range(outputs)]
        if name:
            names[0] = name
        self.proto.graph.node.append(helper.make_node(op, list(inputs), names, f"nms_{op}_{self._count}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """Add a constant; gives its name."""
        self._count += 1
        name = f"nms_constant_{self._count}"
        self.proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def slice(self, data: str, start: int, end: int, axis: int) -> str:
        """data[start:end] along an axis."""
        return str(self.add("Slice", data, *(self.constant([value]) for value in (start, end, axis))))

    def finished(self, outputs: Sequence[Tensor]) -> onnx.ModelProto:
        """The graph with these outputs."""
        del self.proto.graph.output[:]
        for output in outputs:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(output.dtype))
            self.proto.graph.output.append(helper.make_tensor_value_info(output.name, kind, list(output.shape)))
        onnx.checker.check_model(self.proto)
        return self.proto


def _decoded(graph: _Graph, outputs: Sequence[Tensor]) -> tuple[str, str, int]:
    """Boxes `[B, M, 4]` left, top, right, bottom and scores `[B, M, classes]`, and M."""
    try:
        layout = layout_of(outputs)
    except UsageError:
        layout = None
    if not isinstance(layout, HasTail):
        listed = ", ".join(f"{output.name} ({output.meaning}, {output.stage})" for output in outputs)
        raise NoRoute(f"suppression needs a decoded head, this graph gives {listed}", hint="export it with --head nms")
    return layout.tail(graph, outputs)


def _suppressed(
    graph: _Graph, boxes: str, scores: str, rows: int, classes: int, batch: int | str, params: Mapping[str, Any]
) -> int:
    """Add the suppression and the four outputs; gives their length."""
    multi = bool(params.get("multi_label")) and classes > 1
    best = graph.add("ReduceMax", scores, graph.constant([2]), keepdims=1)
    index = graph.add("ArgMax", scores, axis=2, keepdims=0)
    if not multi:
        single = graph.add("Cast", graph.add("Equal", scores, best), to=onnx.TensorProto.FLOAT)
        scores = graph.add("Mul", scores, single)
    width = rows * classes if multi else rows
    limit = int(params.get("max_candidates", UNLIMITED))
    if limit < min(width, UNLIMITED):
        flat = graph.add("Flatten", scores, axis=1)
        values, _ = graph.add("TopK", flat, graph.constant([limit]), outputs=2, axis=1)
        lowest = graph.add("Unsqueeze", graph.slice(values, limit - 1, limit, 1), graph.constant([2]))
        enough = graph.add("Cast", graph.add("GreaterOrEqual", scores, lowest), to=onnx.TensorProto.FLOAT)
        scores = graph.add("Mul", scores, enough)
    kept = min(int(params.get("max_detections", 300)), width)
    by_class = graph.add("Transpose", scores, perm=[0, 2, 1])
    chosen = graph.add(
        "NonMaxSuppression",
        boxes,
        by_class,
        graph.constant(kept),
        graph.constant(float(params.get("iou", 0.45)), np.float32),
        graph.constant(float(params.get("confidence", 0.25)), np.float32),
    )
    values = graph.add("GatherND", by_class, chosen)
    picture, kind, place = (graph.slice(chosen, column, column + 1, 1) for column in range(3))
    if multi:
        place = graph.add("Add", graph.add("Mul", kind, graph.constant(rows)), place)
    where = graph.add("Concat", picture, place, axis=1)
    size = graph.slice(graph.add("Shape", boxes), 0, 1, 0) if isinstance(batch, str) else graph.constant([batch])
    shape = graph.add("Concat", size, graph.constant([width]), axis=0)
    empty = graph.add("ConstantOfShape", shape, value=numpy_helper.from_array(np.array([-1], np.float32)))
    dense = graph.add("ScatterND", empty, where, values)
    top, at = graph.add("TopK", dense, graph.constant([kept]), outputs=2, name="scores", axis=1)
    above = graph.add("Greater", top, graph.constant(0.0, np.float32))
    whole = graph.add("Cast", above, to=onnx.TensorProto.INT64)
    graph.add("ReduceSum", whole, graph.constant([1]), keepdims=1, name="counts")
    row = graph.add("Mod", at, graph.constant(rows)) if multi else at
    label = graph.add("Div", at, graph.constant(rows)) if multi else graph.add("GatherElements", index, at, axis=1)
    graph.add("Where", above, label, graph.constant(-1), name="classes")
    picked = graph.add("GatherND", boxes, graph.add("Unsqueeze", row, graph.constant([2])), batch_dims=1)
    valid = graph.add("Unsqueeze", above, graph.constant([2]))
    graph.add("Where", valid, picked, graph.constant(-1.0, np.float32), name="boxes")
    return kept
