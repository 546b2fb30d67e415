"""Reports as one self-contained HTML page."""

from collections.abc import Iterator

import qcore


@qcore.hookimpl
def qcore_reporters() -> Iterator[qcore.ReporterSpec]:
    """The reporter of `report.html`."""
    yield qcore.ReporterSpec(
        name="html",
        summary="One HTML page without network or scripts, light and dark, for screens, phones and paper",
        target="qcore_plugins.html_report.reporter:HtmlReporter",
        requires=(
            qcore.Requirement("jinja2", "jinja2", ">=3.1", extra="report"),
            qcore.Requirement("matplotlib", "matplotlib", ">=3.9", extra="report"),
        ),
        suffix=".html",
    )
