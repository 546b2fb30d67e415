"""`qcore run` and `qcore recipe`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcore.plugin import Host, Output
from qcore_kit import commandline
from qcore_kit.folders import writable
from qcore_kit.reports import command as reporting


class RunRecipe:
    """Does what a recipe says."""

    example = "qcore run int8.toml -o out/"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """What it takes."""
        parser.add_argument("recipe", help="a recipe (.toml), or a file that was made by one")
        parser.add_argument("--model", metavar="FILE", help="model to take instead of the recipe's")
        commandline.add_cpu(parser, "kind of CPU to check the written file for")
        parser.add_argument(
            "--explain", action="store_true", help="show for each layer whether it was quantized, and by which rule"
        )
        commandline.add_out(parser)
        reporting.add_observers(parser, host)

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Quantize, or export where the recipe quantizes nothing."""
        from qcore_kit import recipes
        from qcore_plugins.commands import quantize
        from qcore_plugins.commands.export import tell

        recipe = recipes.read(options.recipe, host)
        if options.model:
            recipe = recipes.relocated(recipe, options.model)
        if recipe.quantizing:
            settings = dict(recipe.quantizing.options)
            if settings.get("qat"):
                settings.setdefault("state", str(Path(options.out) / f"{recipe.file.stem}.training"))
                recipe = recipes.with_options(recipe, settings)
            run = recipe.start(progress=output.progress, host=host)
            job = quantize.Job(
                Path(options.out),
                [recipe.backend] if recipe.backend else (),
                recipe.profile,
                options.cpu,
                options.explain,
                observers=reporting.begun(options, host),
            )
            document = quantize.written(run, job, output)
            if output.json:
                output.result(document)
            return int(document["failed"][0]["code"]) if "failed" in document else 0
        run = recipe.start(progress=output.progress, host=host)
        run.plan().require()
        writable(options.out)
        return tell(recipes.save(run, options.out), output)


class ShowRecipe:
    """Prints a recipe."""

    example = "qcore recipe out/yolov5n.xml > int8.toml"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:  # noqa: ARG002
        """What it takes."""
        parser.add_argument("file", help="a file that qcore wrote, or a recipe (.toml)")

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """As TOML, or as one JSON document."""
        from qcore_kit import recipes

        fields = recipes.document(recipes.read(options.file, host))
        if output.json:
            output.result(fields)
        else:
            output.say(recipes.as_toml(fields).rstrip("\n"))
        return 0
