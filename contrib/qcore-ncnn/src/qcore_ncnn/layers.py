"""An ncnn model as layers: the text of a .param file, the bytes of a .bin file, and what both must hold to be run.

ncnn trusts its files: it reads weights where the parameters say they are and computes where the shapes say values lie,
and a file that lies crashes the process. So every file is read here first, layer by layer, with its weights and shapes.
Formats: https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/param-and-model-file-structure.md, parameters:
operators.md beside it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

MAGIC = "7767517"
INT8 = 0x000D4B38
"""Flag of a weight stored as int8; 0 stands before float32, and biases and scales have none."""
LARGEST = 2**28
"""Values that a blob or a weight may have: a picture of 3 x 9000 x 9000."""
MANY = 100_000
"""Layers and blobs that a file may have."""
LONGEST = 255
"""Bytes of a name that ncnn reads."""

Parameter = int | float | tuple[int, ...] | tuple[float, ...]
Shape = tuple[int, ...]
"""Sizes of a blob without the batch, outermost first: channels, depth, height, width."""


@dataclass(frozen=True)
class Layer:
    """One line of a .param file with its weights.

    Attributes:
        kind: ncnn's name of the operation.
        name: Unique among the layers.
        inputs: Names of the blobs it reads.
        outputs: Names of the blobs it makes.
        parameters: By ncnn's numbers.
        weights: In the order of the .bin file: float32, or int8.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[int, Parameter] = field(default_factory=dict)
    weights: tuple[np.ndarray, ...] = field(default=(), repr=False)

    def number(self, key: int, default: int = 0) -> int:
        """An integer parameter."""
        value = self.parameters.get(key, default)
        if not isinstance(value, int):
            raise ValueError(f"layer {self.name}: parameter {key} should be an integer")
        return value

    def numbers(self, key: int) -> tuple[int, ...]:
        """An array of integers."""
        value = self.parameters.get(key, ())
        if not isinstance(value, tuple) or not all(isinstance(each, int) for each in value):
            raise ValueError(f"layer {self.name}: parameter {key} should be an array of integers")
        return tuple(int(each) for each in value)

    @property
    def is_integer(self) -> bool:
        """Whether it computes in int8."""
        return self.kind in WEIGHTED and self.number(8) != 0


SIZES: Mapping[int, tuple[int, ...]] = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}
"""Number of dimensions -> the parameters that hold a shape, outermost first."""
WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct", "Deconvolution")
"""Layers with learned weights; all but the last can compute in int8."""


def param_text(layers: Sequence[Layer]) -> str:
    """The .param file."""
    blobs = sum(len(layer.outputs) for layer in layers)
    lines = [MAGIC, f"{len(layers)} {blobs}"]
    for layer in layers:
        counts = [str(len(layer.inputs)), str(len(layer.outputs))]
        words = [layer.kind, layer.name, *counts, *layer.inputs, *layer.outputs]
        lines.append(" ".join([*words, *(_written(key, value) for key, value in layer.parameters.items())]))
    return "\n".join(lines) + "\n"


def _written(key: int, value: Parameter) -> str:
    if isinstance(value, tuple):
        return f"{-23300 - key}={','.join([str(len(value)), *map(_figure, value)])}"
    return f"{key}={_figure(value)}"


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9e}"


def bin_bytes(layers: Sequence[Layer]) -> bytes:
    """The .bin file: every weight in the order of the layers."""
    parts = []
    for layer in layers:
        for place, weight in enumerate(layer.weights):
            if weight.dtype == np.int8:
                parts.append(struct.pack("<I", INT8) + weight.tobytes() + bytes(-weight.size % 4))
            else:
                flag = b"" if layer.kind == "MemoryData" or place else struct.pack("<I", 0)
                parts.append(flag + weight.astype("<f4").tobytes())
    return b"".join(parts)


def calibration_table(layers: Sequence[Layer]) -> str:
    """The scales of int8 layers as ncnn's own tools read them: of the weights, then of the inputs.

    Format: what ncnn2table writes and ncnn2int8 reads (tools/quantize in ncnn).
    """
    integer = [layer for layer in layers if layer.is_integer]
    rows = [(f"{layer.name}_param_0", layer.weights[-2]) for layer in integer]
    rows += [(layer.name, layer.weights[-1]) for layer in integer]
    return "".join(f"{name} {' '.join(f'{value:.9g}' for value in scales)}\n" for name, scales in rows)


def read(text: str, data: bytes) -> list[Layer]:
    """The layers of a .param and a .bin file, with every weight and shape held against the parameters.

    Raises:
        ValueError: Says what is wrong in a few words.
    """
    bare = _lines(text)
    known = _Weights(data)
    layers = [_weighted(layer, known) for layer in bare]
    if known.left:
        raise ValueError(f"{known.left} bytes of weights too many")
    shapes(layers)
    return layers


def _lines(text: str) -> list[Layer]:
    lines = text.split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError(f"the first line is not {MAGIC}")
    counts = lines[1].split() if len(lines) > 1 else []
    if len(counts) != 2 or not all(word.isascii() and word.isdigit() and int(word) <= MANY for word in counts):
        raise ValueError("the second line does not count layers and blobs")
    rows = [words for line in lines[2:] if (words := line.split())]
    if len(rows) != int(counts[0]):
        raise ValueError(f"{counts[0]} layers are announced, there are {len(rows)}")
    layers = [_line(words) for words in rows]
    made = [name for layer in layers for name in layer.outputs]
    if len(made) != int(counts[1]):
        raise ValueError(f"{counts[1]} blobs are announced, there are {len(made)}")
    _require_order(layers)
    return layers


def _line(words: list[str]) -> Layer:
    counts = words[2:4]
    if len(counts) != 2 or not all(word.isascii() and word.isdigit() and int(word) <= MANY for word in counts):
        raise ValueError(f"layer {' '.join(words)[:40]}: no numbers of inputs and outputs")
    ends = 4 + int(counts[0]), 4 + int(counts[0]) + int(counts[1])
    if len(words) < ends[1]:
        raise ValueError(f"layer {words[1][:40]}: the line is cut")
    if words[0] not in KINDS:
        raise ValueError(f"layer {words[1][:40]} is a {words[0][:40]}, which qcore-ncnn does not write")
    if any(len(word.encode()) > LONGEST for word in words[1 : ends[1]]):
        raise ValueError(f"layer {words[1][:40]}: a name is longer than {LONGEST} bytes")
    parameters = dict(_parameter(word, words[1]) for word in words[ends[1] :])
    if strange := sorted(set(parameters) - KINDS[words[0]][1]):
        raise ValueError(f"layer {words[1][:40]}: unknown parameter {strange[0]} of {words[0]}")
    return Layer(words[0], words[1], tuple(words[4 : ends[0]]), tuple(words[ends[0] : ends[1]]), parameters)


def _parameter(word: str, layer: str) -> tuple[int, Parameter]:
    key, _, value = word.partition("=")
    try:
        if not int(key) <= -23300:
            return int(key), _value(value)
        count, *values = value.split(",")
        if len(values) != int(count):
            raise ValueError(value)
        return -23300 - int(key), tuple(map(_value, values))
    except ValueError as error:
        raise ValueError(f"layer {layer[:40]}: {word[:40]} is not a parameter") from error


def _value(word: str) -> int | float:
    number = int(word) if word.lstrip("-").isdigit() else float(word)
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) >= 2**31):
        raise ValueError(word)
    return number


def _require_order(layers: Sequence[Layer]) -> None:
    """Every blob is made once, and read once, by a later layer."""
    waiting: set[str] = set()
    made: set[str] = set()
    for layer in layers:
        for name in layer.inputs:
            if name not in waiting:
                raise ValueError(f"layer {layer.name} reads {name}, which no earlier layer has left for it")
            waiting.remove(name)
        for name in layer.outputs:
            if name in made:
                raise ValueError(f"blob {name} is made twice")
            made.add(name)
            waiting.add(name)
    if len({layer.name for layer in layers}) < len(layers):
        raise ValueError("two layers have the same name")


class _Weights:
    """Reads a .bin file from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, count: int, *, flagged: bool, integer: bool, layer: str) -> np.ndarray:
        if not 0 < count <= LARGEST:
            raise ValueError(f"layer {layer}: a weight of {count} values")
        if flagged:
            (flag,) = struct.unpack("<I", self._bytes(4, layer))
            if flag != (INT8 if integer else 0):
                raise ValueError(f"layer {layer}: a weight begins with {flag:#010x}, not with its type")
        if integer:
            values = np.frombuffer(self._bytes(count + -count % 4, layer), np.int8)[:count]
        else:
            values = np.frombuffer(self._bytes(4 * count, layer), "<f4").astype(np.float32, copy=False)
            if not np.isfinite(values).all():
                raise ValueError(f"layer {layer}: a weight is not finite")
        return values

    def _bytes(self, count: int, layer: str) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) < count:
            raise ValueError(f"the weights end inside layer {layer}")
        self._place += count
        return taken


def _weighted(layer: Layer, data: _Weights) -> Layer:
    weights = []
    for place, count in enumerate(_counts(layer)):
        first = place == 0
        taken = data.take(
            count,
            flagged=first and layer.kind in WEIGHTED,
            integer=first and layer.is_integer,
            layer=layer.name,
        )
        if layer.is_integer and place > layer_bias(layer) and not (taken > 0).all():
            raise ValueError(f"layer {layer.name}: a scale is not greater than 0")
        weights.append(taken)
    return Layer(layer.kind, layer.name, layer.inputs, layer.outputs, layer.parameters, tuple(weights))


def weight_shape(layer: Layer) -> Shape:
    """As ONNX has it: channels out, channels in of a group, kernel; the other way round for a Deconvolution."""
    outputs = layer.number(0)
    if layer.kind == "InnerProduct":
        return outputs, layer.number(2) // outputs
    height, width = convolution_window(layer).kernel
    inputs = layer.number(6) // (outputs * height * width)
    return (inputs, outputs, height, width) if layer.kind == "Deconvolution" else (outputs, inputs, height, width)


def layer_bias(layer: Layer) -> int:
    """1 where a weighted layer has a bias, else 0."""
    return layer.number(1 if layer.kind == "InnerProduct" else 5)


def _counts(layer: Layer) -> list[int]:
    """How many values each weight has."""
    if layer.kind == "MemoryData":
        return [math.prod(memory_shape(layer))]
    if layer.kind not in WEIGHTED:
        return []
    outputs = layer.number(0)
    counts = [layer.number(2 if layer.kind == "InnerProduct" else 6)]
    if layer_bias(layer) not in (0, 1) or layer.number(8) not in (0, 1):
        raise ValueError(f"layer {layer.name}: a kind of bias or scales that qcore-ncnn does not write")
    counts += [outputs] * layer_bias(layer)
    if layer.is_integer:
        if layer.kind == "Deconvolution":
            raise ValueError(f"layer {layer.name}: ncnn has no int8 Deconvolution")
        counts += [layer.number(7, 1) if layer.kind == "ConvolutionDepthWise" else outputs, 1]
    return counts


def memory_shape(layer: Layer) -> Shape:
    """Shape of what an Input, a MemoryData or a Reshape makes."""
    keys = next((keys for keys in SIZES.values() if set(keys) == set(layer.parameters)), ())
    shape = tuple(layer.number(key) for key in keys)
    if not shape or not all(0 < size <= LARGEST for size in shape):
        raise ValueError(f"layer {layer.name} has no shape")
    return shape


def shapes(layers: Sequence[Layer]) -> dict[str, Shape]:
    """Blob -> its shape, with everything checked that ncnn takes for granted.

    Raises:
        ValueError: A layer cannot compute what it reads.
    """
    found: dict[str, Shape] = {}
    for layer in layers:
        given = [found[name] for name in layer.inputs]
        made = KINDS[layer.kind][0](layer, given)
        if len(made) != len(layer.outputs):
            raise ValueError(f"layer {layer.name} makes {len(made)} blobs, {len(layer.outputs)} are named")
        for name, shape in zip(layer.outputs, made, strict=True):
            if not 1 <= len(shape) <= 4 or any(size < 1 for size in shape) or math.prod(shape) > LARGEST:
                raise ValueError(f"layer {layer.name} makes a blob of shape {list(shape)}")
            found[name] = shape
    return found


Rule = Callable[[Layer, Sequence[Shape]], Sequence[Shape]]


def _require(fits: bool, layer: Layer, given: Sequence[Shape]) -> None:
    if not fits:
        read_ = " and ".join(str(list(shape)) for shape in given) or "nothing"
        raise ValueError(f"layer {layer.name}: a {layer.kind} of these parameters cannot read {read_}")


def _source(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(not given, layer, given)
    return [memory_shape(layer)]


def _same(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(len(given) == 1, layer, given)
    return given


def _copies(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(len(given) == 1, layer, given)
    return list(given) * len(layer.outputs)


def _softmax(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(len(given) == 1 and 0 <= layer.number(0) < len(given[0]), layer, given)
    return given


@dataclass(frozen=True)
class Window:
    """Kernel of a convolution or a pool along height and width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def is_sound(self) -> bool:
        """Whether every number is within what a picture can need."""
        sizes = (*self.kernel, *self.stride, *self.dilation)
        return all(0 < size < 2**15 for size in sizes) and all(0 <= pad < 2**15 for pad in self.pads)

    def places(self, shape: Shape, *, up: bool = False) -> tuple[int, int]:
        """Height and width of what it makes."""
        made = []
        for axis in (0, 1):
            room = shape[1 + axis] + self.pads[axis] + self.pads[axis + 2]
            room -= self.dilation[axis] * (self.kernel[axis] - 1) + 1
            made.append((-(-room // self.stride[axis]) if up else room // self.stride[axis]) + 1 if room >= 0 else 0)
        return made[0], made[1]


def convolution_window(layer: Layer) -> Window:
    """Of a Convolution, a ConvolutionDepthWise or a Deconvolution."""
    width, left = layer.number(1), layer.number(4)
    across, step = layer.number(2, 1), layer.number(3, 1)
    top = layer.number(14, left)
    return Window(
        (layer.number(11, width), width),
        (layer.number(13, step), step),
        (layer.number(12, across), across),
        (top, left, layer.number(16, top), layer.number(15, left)),
    )


def _convolution(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    window, outputs = convolution_window(layer), layer.number(0)
    groups = layer.number(7, 1) if layer.kind == "ConvolutionDepthWise" else 1
    fits = len(given) == 1 and len(given[0]) == 3 and window.is_sound and 0 < groups <= outputs <= LARGEST
    _require(fits and not given[0][0] % groups and not outputs % groups, layer, given)
    wanted = given[0][0] // groups * outputs * math.prod(window.kernel)
    _require(wanted == layer.number(6), layer, given)
    return [(outputs, *window.places(given[0]))]


def _deconvolution(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    window, outputs = convolution_window(layer), layer.number(0)
    more = layer.number(19, layer.number(18)), layer.number(18)
    fits = len(given) == 1 and len(given[0]) == 3 and window.is_sound and 0 < outputs <= LARGEST
    fits = fits and all(0 <= extra < step for extra, step in zip(more, window.stride, strict=True))
    _require(fits and given[0][0] * outputs * math.prod(window.kernel) == layer.number(6), layer, given)
    sizes = [
        (given[0][1 + axis] - 1) * window.stride[axis]
        + window.dilation[axis] * (window.kernel[axis] - 1)
        + 1
        + more[axis]
        - window.pads[axis]
        - window.pads[axis + 2]
        for axis in (0, 1)
    ]
    return [(outputs, *sizes)]


def _inner_product(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    fits = len(given) == 1 and len(given[0]) == 1 and 0 < layer.number(0) <= LARGEST
    _require(fits and given[0][0] * layer.number(0) == layer.number(2), layer, given)
    return [(layer.number(0),)]


def _pooling(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(len(given) == 1 and len(given[0]) == 3 and layer.number(0) in (0, 1), layer, given)
    if layer.number(4):
        return [(given[0][0],)]
    width, left, step = layer.number(1), layer.number(3), layer.number(2, 1)
    top = layer.number(13, left)
    window = Window(
        (layer.number(11, width), width),
        (layer.number(12, step), step),
        (1, 1),
        (top, left, layer.number(15, top), layer.number(14, left)),
    )
    _require(window.is_sound and layer.number(5) in (0, 1), layer, given)
    return [(given[0][0], *window.places(given[0], up=layer.number(5) == 0))]


def _binary(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(0 <= layer.number(0) <= 9, layer, given)
    if layer.number(1):
        return _same(layer, given)
    _require(len(given) == 2 and len(given[0]) == len(given[1]), layer, given)
    pairs = list(zip(*given, strict=True))
    _require(all(one == other or 1 in (one, other) for one, other in pairs), layer, given)
    return [tuple(max(pair) for pair in pairs)]


def _unary(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(0 <= layer.number(0) <= 19, layer, given)
    return _same(layer, given)


def _concat(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    axis = layer.number(0)
    _require(bool(given) and 0 <= axis < len(given[0]), layer, given)
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in given}
    _require(len(others) == 1 and len({len(shape) for shape in given}) == 1, layer, given)
    return [(*given[0][:axis], sum(shape[axis] for shape in given), *given[0][axis + 1 :])]


def _crop(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    starts, ends, axes = layer.numbers(9), layer.numbers(10), layer.numbers(11)
    _require(len(given) == 1 and 0 < len(starts) == len(ends) == len(axes), layer, given)
    made = list(given[0])
    for start, end, axis in zip(starts, ends, axes, strict=True):
        _require(0 <= axis < len(made) and 0 <= start < end <= given[0][axis], layer, given)
        made[axis] = end - start
    return [tuple(made)]


def _slice(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    sizes, axis = layer.numbers(0), layer.number(1)
    _require(len(given) == 1 and 0 <= axis < len(given[0]), layer, given)
    _require(all(size > 0 for size in sizes) and sum(sizes) == given[0][axis], layer, given)
    return [(*given[0][:axis], size, *given[0][axis + 1 :]) for size in sizes]


def _reshape(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    made = memory_shape(layer)
    _require(len(given) == 1 and math.prod(made) == math.prod(given[0]), layer, given)
    return [made]


def _permute(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    _require(len(given) == 1 and len(given[0]) in ORDERS, layer, given)
    orders = ORDERS[len(given[0])]
    _require(0 <= layer.number(0) < len(orders), layer, given)
    return [tuple(given[0][axis] for axis in orders[layer.number(0)])]


def _interp(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    height, width = layer.number(3), layer.number(4)
    fits = len(given) == 1 and len(given[0]) == 3 and layer.number(0) in (1, 2) and height > 0 and width > 0
    _require(fits and (not layer.number(6) or min(height, width) > 1), layer, given)
    return [(given[0][0], height, width)]


def _reduction(layer: Layer, given: Sequence[Shape]) -> Sequence[Shape]:
    axes = layer.numbers(3)
    _require(len(given) == 1 and bool(axes) and all(0 <= axis < len(given[0]) for axis in axes), layer, given)
    _require(layer.parameters.get(1) == 0 and 0 <= layer.number(0) <= 10, layer, given)
    kept = [size for axis, size in enumerate(given[0]) if axis not in axes]
    if layer.number(4):
        kept = [1 if axis in axes else size for axis, size in enumerate(given[0])]
    return [tuple(kept)]


def _orders(words: str, axes: str) -> list[tuple[int, ...]]:
    """For each of ncnn's order types, the axis of the input that each axis of the output takes, outermost first."""
    return [tuple(axes.index(letter) for letter in reversed(word)) for word in words.split()]


ORDERS = {
    2: _orders("WH HW", "HW"),
    3: _orders("WHC HWC WCH CWH HCW CHW", "CHW"),
    4: _orders(
        "WHDC HWDC WDHC DWHC HDWC DHWC WHCD HWCD WCHD CWHD HCWD CHWD "
        "WDCH DWCH WCDH CWDH DCWH CDWH HDCW DHCW HCDW CHDW DCHW CDHW",
        "CDHW",
    ),
}
"""Number of dimensions -> order types of Permute."""

_WINDOW = frozenset({0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16})
_SHAPE = frozenset({0, 1, 2, 11})
KINDS: dict[str, tuple[Rule, frozenset[int]]] = {
    "BinaryOp": (_binary, frozenset({0, 1, 2})),
    "Clip": (_same, frozenset({0, 1})),
    "Concat": (_concat, frozenset({0})),
    "Convolution": (_convolution, _WINDOW | {8}),
    "ConvolutionDepthWise": (_convolution, _WINDOW | {7, 8}),
    "Crop": (_crop, frozenset({9, 10, 11})),
    "Deconvolution": (_deconvolution, _WINDOW | {18, 19}),
    "HardSigmoid": (_same, frozenset({0, 1})),
    "HardSwish": (_same, frozenset({0, 1})),
    "InnerProduct": (_inner_product, frozenset({0, 1, 2, 8})),
    "Input": (_source, _SHAPE),
    "Interp": (_interp, frozenset({0, 3, 4, 6})),
    "MemoryData": (_source, _SHAPE),
    "Permute": (_permute, frozenset({0})),
    "Pooling": (_pooling, frozenset({0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15})),
    "ReLU": (_same, frozenset({0})),
    "Reduction": (_reduction, frozenset({0, 1, 3, 4, 5})),
    "Reshape": (_reshape, _SHAPE),
    "Sigmoid": (_same, frozenset()),
    "Slice": (_slice, frozenset({0, 1})),
    "Softmax": (_softmax, frozenset({0, 1})),
    "Split": (_copies, frozenset()),
    "Swish": (_same, frozenset()),
    "TanH": (_same, frozenset()),
    "UnaryOp": (_unary, frozenset({0})),
}
"""Layers that the converter writes: the shapes of what they make, and the parameters that they may have."""
