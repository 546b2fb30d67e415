"""Conformance checks of the kit's kinds of components; see `qcore.testing`, which finds them by entry points."""

from qcore_kit.testing.kinds import (
    AnalyzerConformance,
    LayoutConformance,
    LinterConformance,
    ObserverConformance,
    ProbeConformance,
    ProfileConformance,
    ReporterConformance,
    ResultConformance,
    TunerConformance,
)

__all__ = [
    "AnalyzerConformance",
    "LayoutConformance",
    "LinterConformance",
    "ObserverConformance",
    "ProbeConformance",
    "ProfileConformance",
    "ReporterConformance",
    "ResultConformance",
    "TunerConformance",
]
