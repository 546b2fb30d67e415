"""Who offers what: specs, hooks, plugins."""
