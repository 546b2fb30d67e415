"""For mkdocs: a page for each rule of `qcore check`, made of the rule's docstring, and their index."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import qcore
from qcore_plugins.tools.check import checking

INDEX = """# Rules

What `qcore check` looks for, see [checking a file](../check.md). *Error*: refused, or wrong results. *Warning*: slower
or larger than need be. *Info*: worth knowing. A rule may say less than its severity where less is at stake.

| rule | severity | targets | looks for |
|---|---|---|---|
"""


def index(rules: list[checking.Rule]) -> str:
    """The table of all rules."""
    rows = (
        f"| [{rule.id}]({rule.id}.md) | {rule.severity} | {', '.join(rule.targets) or 'every'} | {rule.summary} |"
        for rule in rules
    )
    return INDEX + "\n".join(rows) + "\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation, where the section `Rules` stands."""
    names = sorted(rule.id for rule in checking.rules(qcore.plugins))
    pages = [{"Index": "rules/index.md"}, *({name: f"rules/{name}.md"} for name in names)]
    config.nav = [{"Rules": pages} if "Rules" in entry else entry for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    rules = checking.rules(qcore.plugins)
    for rule in rules:
        files.append(File.generated(config, f"rules/{rule.id}.md", content=checking.page(rule)))
    files.append(File.generated(config, "rules/index.md", content=index(rules)))
    return files
