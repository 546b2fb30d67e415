"""Backends, and all that a runtime needs: format, converters, probe, rules."""
