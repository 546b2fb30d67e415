"""`qcore new-plugin`."""

from __future__ import annotations

import argparse
from pathlib import Path

from qcore.plugin import Host, Output


class NewPlugin:
    """Writes a package."""

    example = "qcore new-plugin mynet --kind loader"

    def arguments(self, parser: argparse.ArgumentParser, host: Host) -> None:
        """Name, kind and folder."""
        parser.add_argument("name", help="name of the component and the plugin, in small letters, e.g. mynet")
        parser.add_argument(
            "--kind", required=True, metavar="KIND", help=f"one of {', '.join(sorted(k.kind for k in host.kinds()))}"
        )
        parser.add_argument(
            "-o", "--out", metavar="DIR", default=".", help="directory that the package is made in (default: .)"
        )

    def run(self, options: argparse.Namespace, output: Output, host: Host) -> int:
        """Write it and say what to run next."""
        from qcore_plugins.tools.new_plugin.package import write_package

        folder = write_package(options.name, options.kind, Path(options.out), host)
        if output.json:
            output.result({"folder": str(folder), "files": sorted(str(path) for path in folder.rglob("*.*"))})
        output.say(f"wrote {folder}")
        output.say("next:")
        output.say(f"  pip install -e {folder}")
        output.say(f"  qcore check-plugin {options.name}")
        return 0
