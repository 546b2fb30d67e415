"""The everyday commands: they parse, call, and print."""

from collections.abc import Iterator

from qcore.plugin import CommandSpec, hookimpl

qcore_api = "1"

_COMMANDS = (
    ("inspect", "show what a model file contains", "inspect:Inspect"),
    ("export", "convert a model or a scale table to another format", "export:Export"),
    ("quantize", "quantize a model to INT8, write a file for each runtime, and check it", "quantize:Quantize"),
    ("predict", "run a model on inputs", "predict:Predict"),
    ("eval", "evaluate a model on labelled data", "evaluate:Evaluate"),
    ("contract", "show a model's contract (inputs, preprocessing, outputs), or attach one", "contract:Contract"),
    ("plan", "show the conversion steps from a model, through a quantizer, to a backend", "plan:ShowPlan"),
    ("run", "do what a recipe says", "recipes:RunRecipe"),
    ("recipe", "print the recipe that a file was made by", "recipes:ShowRecipe"),
    ("completion", "print the script that completes qcore's arguments in a shell", "completion:Completion"),
)


@hookimpl
def qcore_commands() -> Iterator[CommandSpec]:
    """The commands `inspect`, `export`, `quantize`, `predict`, `eval`, `contract`, `plan`, `run`, `recipe`, ..."""
    for name, summary, factory in _COMMANDS:
        yield CommandSpec(name=name, summary=summary, factory=f"qcore_plugins.commands.{factory}")
