"""Reports as one self-contained HTML page."""

from collections.abc import Iterator
from pathlib import Path

from qcore.plugin import Option, Requirement, hookimpl
from qcore_kit.kinds import ObserverSpec, ReporterSpec

qcore_api = "1"


@hookimpl
def qcore_reporters() -> Iterator[ReporterSpec]:
    """The reporter of `report.html`."""
    yield ReporterSpec(
        name="html",
        summary="One HTML page without network or scripts, light and dark, for screens, phones and paper",
        factory="qcore_plugins.tools.report.html:HtmlReporter",
        requires=(
            Requirement("jinja2", "jinja2", ">=3.1", extra="report"),
            Requirement("matplotlib", "matplotlib", ">=3.9", extra="report"),
        ),
        suffix=".html",
    )


@hookimpl
def qcore_observers() -> Iterator[ObserverSpec]:
    """The observer of `--report`."""
    told = "write report.html (one self-contained page) and report.json to this directory"
    yield ObserverSpec(
        name="report",
        summary="Writes what a command found with all reporters",
        factory="qcore_plugins.tools.report.observer:Page",
        options=(Option("report", told, None, Path),),
    )
