"""Networks that nobody wrote for qcore: modules of torch.nn in any order, from a loader of somebody else's."""

# ruff: noqa: ARG002 - arguments of the protocols

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("pytorch_quantization")
pytest.importorskip("openvino")

from torch import nn  # noqa: E402

import qcore  # noqa: E402
from qcore.plugin import (  # noqa: E402
    Contract,
    Form,
    FormatSpec,
    LoaderSpec,
    Model,
    PostprocessorSpec,
    Prepared,
    PreprocessorSpec,
    Step,
    Tensor,
    hookimpl,
)

CHANNELS, SIDE = 16, 12


def block(read, made, kernel=3):
    convolution = nn.Conv2d(read, made, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(made), nn.SiLU())


class Detector(nn.Module):
    """A stem, something in the middle, a neck, a head, and a decode."""

    def __init__(self):
        super().__init__()
        self.stem, self.neck = block(3, CHANNELS), block(CHANNELS, CHANNELS)
        self.head = nn.Conv2d(CHANNELS, 6, 1)

    def middle(self, x):
        return x

    def forward(self, x):
        return torch.sigmoid(self.head(self.neck(self.middle(self.stem(x)))).flatten(2))


class Norms(Detector):
    """BatchNorm before a convolution, behind a transposed one, and behind a block that is used twice."""

    def __init__(self):
        super().__init__()
        self.before, self.plain = nn.BatchNorm2d(CHANNELS), nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.wider, self.behind = nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, 2), nn.BatchNorm2d(CHANNELS)
        self.twice = block(CHANNELS, CHANNELS)

    def middle(self, x):
        x = x + self.plain(torch.relu(self.before(x)))
        x = nn.functional.avg_pool2d(torch.relu(self.behind(self.wider(x))), 2)
        return self.twice(x) + self.twice(self.twice(x))


class Transformer(Detector):
    """Tokens: linear layers on three axes, attention by PyTorch, and slices that are equal."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(CHANNELS, 2, batch_first=True)
        self.wide, self.narrow, self.norm = nn.Linear(CHANNELS, 32), nn.Linear(32, CHANNELS), nn.LayerNorm(CHANNELS)

    def middle(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        tokens = tokens + self.narrow(nn.functional.gelu(self.wide(self.norm(tokens))))
        x = tokens.transpose(1, 2).reshape(x.shape)
        half = CHANNELS // 2
        return torch.cat([torch.relu(x[:, :half]) + x[:, :half], x[:, half:]], 1)


class Attention(Detector):
    """Position-sensitive attention: queries, keys and values of one convolution, a depthwise one on the values."""

    def __init__(self):
        super().__init__()
        self.joined = nn.Conv2d(CHANNELS, 2 * CHANNELS, 1)
        self.places = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)
        self.out = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def middle(self, x):
        batch, channels, height, width = x.shape
        query, key, value = self.joined(x).view(batch, 2, 16, height * width).split([4, 4, 8], 2)
        weights = ((query.transpose(-2, -1) @ key) * 0.5).softmax(-1)
        made = (value @ weights.transpose(-2, -1)).view(batch, channels, height, width)
        return x + self.out(made + self.places(value.reshape(batch, channels, height, width)))


class Pillars(nn.Module):
    """Points in pillars, scattered onto a canvas that is mostly empty; the batch of one is written down."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, CHANNELS), nn.BatchNorm1d(CHANNELS)
        self.neck, self.head = block(CHANNELS, CHANNELS), nn.Conv2d(CHANNELS, 6, 1)

    def forward(self, points, places):
        made = self.linear(points)
        made = torch.relu(self.norm(made.reshape(-1, CHANNELS)).reshape(made.shape)).amax(2)
        canvas = torch.zeros(1, CHANNELS, SIDE * SIDE, dtype=made.dtype)
        where = places.unsqueeze(1).expand(1, CHANNELS, places.shape[1])
        canvas = canvas.scatter(2, where, made.transpose(1, 2)).reshape(1, CHANNELS, SIDE, SIDE)
        return self.head(self.neck(canvas))


class Chosen(Detector):
    """Sums of indices, which are no activations; an output that is a convolution's own."""

    def forward(self, x):
        x = self.neck(self.stem(x))
        places = (x.mean((2, 3)).topk(4, 1).indices * 2 + 1) // 2
        best = torch.gather(x.flatten(2), 1, places.unsqueeze(-1).expand(1, 4, SIDE * SIDE))
        return self.head(x).flatten(2), best


NETWORKS = {kind.__name__: kind for kind in (Norms, Transformer, Attention, Pillars, Chosen)}


def network(name):
    torch.manual_seed(0)
    made = NETWORKS[name]().eval()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.2)
    return made


class Names:
    def sniff(self, path):
        return path.read_bytes()[:8] == b"foreign:"

    def open(self, path):
        return path.read_text().partition(":")[2]

    def contract(self, content):
        return None

    def form(self, content):
        return Form("foreign")

    def signature(self, content):
        return (), ()


class Loader:
    def matches(self, content):
        return content

    def load(self, content, *, options):
        module = network(content)
        inputs = (Tensor("x", "float32", (1, 3, SIDE, SIDE), "NCHW"),)
        if content == "Pillars":
            inputs = (Tensor("points", "float32", (1, 20, 5, 4)), Tensor("places", "int64", (1, 20)))
        made = module(*(torch.from_numpy(value) for value in Inputs({}, inputs).read(0).values()))
        made = made if isinstance(made, tuple) else (made,)
        outputs = tuple(Tensor(f"y{place}", "float32", tuple(each.shape)) for place, each in enumerate(made))
        contract = Contract("foreign", inputs, outputs, Step("foreign"), Step("foreign"), ("one",))
        return Model(Form("torch", encoding="float", precision="f32"), module, contract)


class Inputs:
    def __init__(self, params, inputs):
        self.names = [tensor.name for tensor in inputs]

    def expand(self, source):
        return list(range(8)) if source == "eight" else source if isinstance(source, list) else [source]

    def read(self, item):
        chance = np.random.default_rng(int(item))
        if self.names == ["x"]:
            return {"x": chance.random((1, 3, SIDE, SIDE), np.float32)}
        return {
            "points": chance.random((1, 20, 5, 4), np.float32),
            "places": chance.permutation(SIDE * SIDE)[None, :20].astype(np.int64),
        }

    def prepare(self, raw):
        return Prepared(raw)

    def example(self):
        return self.read(0)


class Outputs:
    def __init__(self, params, outputs, classes):
        self.names = [tensor.name for tensor in outputs]

    def __call__(self, outputs, contexts):
        return [np.concatenate([outputs[name].reshape(-1) for name in self.names])]


class Plugin:
    @hookimpl
    def qcore_formats(self):
        yield FormatSpec(name="foreign", summary="names of networks", factory=Names)

    @hookimpl
    def qcore_loaders(self):
        made = Form("torch", encoding="float", precision="f32")
        yield LoaderSpec(name="foreign", summary="networks", factory=Loader, format="foreign", produces=made)

    @hookimpl
    def qcore_preprocessors(self):
        yield PreprocessorSpec(name="foreign", summary="random", factory=Inputs)

    @hookimpl
    def qcore_postprocessors(self):
        yield PostprocessorSpec(name="foreign", summary="all values", factory=Outputs)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    host = qcore.Host()
    host.register(Plugin(), "foreign")
    monkeypatch.setattr("qcore.host.plugins.installed", host)

    def of(name):
        path = tmp_path / f"{name}.foreign"
        path.write_text(f"foreign:{name}")
        return qcore.recipe(path)

    return of


def noise(run, recipe):
    """Signal-to-noise ratio of the quantized outputs, in dB."""
    quantized, plain = run.predictor(), recipe.with_backend("onnxruntime").start().predictor()
    pairs = [(quantized(item), plain(item)) for item in range(4)]
    wanted = np.concatenate([each for _, each in pairs])
    return 10 * np.log10(np.sum(wanted**2) / np.sum((np.concatenate([each for each, _ in pairs]) - wanted) ** 2))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_foreign_network_is_quantized_in_pytorch(recipe, name):
    float_recipe = recipe(name)
    quantizing = float_recipe.with_quantizer("pytorch-quantization", calibration="eight").with_backend("openvino")
    with quantizing.start() as run:
        assert noise(run, float_recipe) > 30
        assert {"neck.0", "head"} & {row["layer"] for row in run.model().layers}


@pytest.mark.parametrize("name", ["Transformer", "Pillars"])
def test_and_trained(recipe, name):
    float_recipe = recipe(name)
    quantizing = float_recipe.with_quantizer(
        "pytorch-quantization", calibration="eight", qat=True, steps=2, batch=2
    ).with_backend("onnxruntime")
    with quantizing.start() as run:
        assert noise(run, float_recipe) > 30
        assert run.model("quantizer").contract.provenance["quantization"]["qat"]["step"] >= 0
