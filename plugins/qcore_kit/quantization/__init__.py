"""Quantization as data: a neutral view of the graph, where Q/DQ goes, the scale table, and the one writer."""
