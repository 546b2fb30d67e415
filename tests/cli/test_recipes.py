"""A recipe is written, printed from what it made, and run again: the same recipe, the same bytes."""

import json
import tomllib

import onnx
import pytest

import qcore
from qcore.plugin import FileError, UsageError
from qcore_kit import recipes


@pytest.fixture
def made(run, exported, pictures, tmp_path):
    """A quantized file, with the recipe that was written beside it."""
    folder = tmp_path / "one"
    arguments = ("--quantizer", "onnxruntime", "--calib-limit", 4, "--exclude", "model.1.*", "--backend", "onnxruntime")
    code, _, err = run(
        *("quantize", exported, "--calib", pictures / "images", *arguments),
        *("-o", folder, "--write-recipe", tmp_path / "int8.toml"),
    )
    assert code == 0, err
    return folder / "shapes.onnx"


def test_the_recipe_of_a_file_is_the_one_it_was_made_by(run, made, tmp_path):
    written = (tmp_path / "int8.toml").read_text()
    assert run("recipe", made)[1] == written
    assert json.loads(run("recipe", made, "--json")[1]) == tomllib.loads(written)
    assert tomllib.loads(written)["quantizer"]["options"] == {"exclude": ["model.1.*"]}


def test_running_it_gives_the_same_bytes(run, made, tmp_path):
    assert run("run", tmp_path / "int8.toml", "-o", tmp_path / "again")[0] == 0
    assert (tmp_path / "again" / "shapes.onnx").read_bytes() == made.read_bytes()
    assert run("run", made, "-o", tmp_path / "third")[0] == 0
    assert (tmp_path / "third" / "shapes.onnx").read_bytes() == made.read_bytes()


def test_a_recipe_that_quantizes_nothing_exports(run, checkpoint, tmp_path):
    recipe = qcore.recipe(checkpoint, imgsz=96).with_backend("openvino")
    recipes.write(recipe, tmp_path / "float.toml")
    assert recipes.read(tmp_path / "float.toml", qcore.plugins) == recipe
    assert run("run", tmp_path / "float.toml", "-o", tmp_path)[0] == 0
    assert qcore.load(tmp_path / "shapes.xml").contract.inputs[0].shape == (1, 3, 96, 96)
    assert recipes.read(tmp_path / "shapes.xml", qcore.plugins).loader_options == {"imgsz": 96}


def test_every_part_of_a_recipe_comes_back(tmp_path):
    recipe = (
        qcore.recipe("net.pt", "yolov5", imgsz=(384, 640))
        .with_preprocess(picture_aspect=1.5)
        .with_quantizer("nncf", calibration="images", limit=None, seed=3, preset="performance")
        .with_data("instances.json", images="val", classes={"body": "person"})
        .with_backend("openvino", profile="openvino", threads=2)
        .with_head("nms")
        .with_precision("f16")
        .with_protocol("upstream")
        .with_conversion(workspace=3)
        .with_parameters(preprocess={"rect": True}, postprocess={"confidence": 0.5})
    )
    recipes.write(recipe, tmp_path / "all.toml")
    assert recipes.read(tmp_path / "all.toml", qcore.plugins) == recipe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'file = "a.pt"\n[quantizer]\nname = "nncf"\ncalibration = "x"\nlimt = 3\n',
            "quantizer.limt; did you mean limit?",
        ),
        ('file = "a.pt"\n[quantizer]\nname = 3\ncalibration = "x"\n', "quantizer.name: expected `str`, got `int`"),
        ('[quantizer]\nname = "nncf"\ncalibration = "x"\n', "missing required field `file`"),
        ('file = "a.pt"\nrecipe = 2\n', "recipe: "),
        ("file = a.pt\n", "not TOML"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(tmp_path, text, said):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(FileError) as error:
        recipes.read(tmp_path / "bad.toml", qcore.plugins)
    assert "bad.toml" in error.value.message
    assert said in error.value.message


def test_a_file_without_a_recipe_says_so(run, exported, tmp_path):
    model = onnx.load(str(exported))
    contract = json.loads(model.metadata_props[0].value)
    contract["provenance"].pop(recipes.KEY, None)
    model.metadata_props[0].value = json.dumps(contract)
    onnx.save(model, str(tmp_path / "other.onnx"))
    code, _, err = run("recipe", tmp_path / "other.onnx")
    assert code != 0
    assert "holds no recipe" in err


def test_objects_have_no_place_in_a_file(tmp_path):
    with pytest.raises(UsageError, match="needs its name"):
        recipes.write(qcore.recipe("net.pt", object()), tmp_path / "no.toml")
    with pytest.raises(UsageError, match="needs a path"):
        recipes.write(qcore.recipe("net.pt").with_quantizer("nncf", calibration=[1, 2]), tmp_path / "no.toml")
    assert not list(tmp_path.iterdir())
