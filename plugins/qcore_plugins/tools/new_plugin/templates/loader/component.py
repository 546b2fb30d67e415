"""The format and the loader `mynet`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qcore.plugin import Contract, FileError, Form, Model, Step, Tensor, read_text

HEAD = '{"mynet": '


class MynetFormat:
    """JSON: {"mynet": 1, "weights": one list of numbers for each class, "classes": names}."""

    def sniff(self, path: Path) -> bool:
        """By the first bytes, so that the suffix does not matter."""
        with path.open("rb") as stream:
            return stream.read(len(HEAD)) == HEAD.encode()

    def open(self, path: Path) -> dict[str, Any]:
        """The document, checked here once: what comes after can rely on it."""
        try:
            content = json.loads(read_text(path))
            rows = [[float(value) for value in row] for row in content["weights"]]
            classes = [str(name) for name in content["classes"]]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FileError(f"{path}: not a whole Mynet file", hint="save it again") from error
        if not rows or not rows[0] or len({len(row) for row in rows}) > 1 or len(rows) != len(set(classes)):
            raise FileError(f"{path}: {len(rows)} rows of weights for {len(classes)} classes", hint="save it again")
        return {"weights": rows, "classes": classes}

    def contract(self, content: Any) -> Contract | None:
        """None: the loader makes it."""
        return None

    def form(self, content: Any) -> Form:
        """Not a graph yet."""
        return Form("mynet")

    def signature(self, content: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs and outputs, as far as the file tells them."""
        inputs = (Tensor("values", "float32", (1, len(content["weights"][0]))),)
        return inputs, (Tensor("scores", "float32", (1, len(content["classes"]))),)

    def write(self, model: Model, path: Path) -> list[Path]:
        """It is only read."""
        raise FileError(f"{path}: Mynet files are not written", hint="use --to onnx")


class MynetLoader:
    """Makes the graph `scores = values @ weights`."""

    def matches(self, content: Any) -> str | None:
        """What the file is."""
        return f"Mynet, {len(content['classes'])} classes" if "weights" in content else None

    def load(self, content: Any, *, options: Mapping[str, Any]) -> Model:
        """The graph with its contract."""
        import numpy as np
        from onnx import TensorProto, helper, numpy_helper

        weights = np.array(content["weights"], np.float32).T * np.float32(options["scale"])
        (features, classes), float32 = weights.shape, TensorProto.FLOAT
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["values", "weights"], ["scores"])],
            "mynet",
            [helper.make_tensor_value_info("values", float32, [1, features])],
            [helper.make_tensor_value_info("scores", float32, [1, classes])],
            [numpy_helper.from_array(weights, "weights")],
        )
        contract = Contract(
            task="classification",
            inputs=(Tensor("values", "float32", (1, features)),),
            outputs=(Tensor("scores", "float32", (1, classes)),),
            preprocess=Step("mynet"),
            postprocess=Step("mynet"),
            classes=tuple(content["classes"]),
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        return Model(Form("onnx", encoding="float", precision="f32"), proto, contract)
