"""PointPillars (Lang et al., arXiv 1812.05784) for qcore: clouds of a lidar in, 3D boxes out."""

from collections.abc import Iterator
from pathlib import Path

from qcore.plugin import (
    EvaluatorSpec,
    Form,
    LoaderSpec,
    Option,
    PostprocessorSpec,
    PreprocessorSpec,
    Requirement,
    hookimpl,
)
from qcore_kit.kinds import ResultSpec

qcore_api = "1"
TORCH = Requirement("torch", "torch", extra="torch")
OPENCV = Requirement("cv2", "opencv-python-headless")


@hookimpl
def qcore_loaders() -> Iterator[LoaderSpec]:
    """The loader `pointpillars`."""
    yield LoaderSpec(
        name="pointpillars",
        summary="PointPillars checkpoints that qcore_pointpillars.train writes",
        factory="qcore_pointpillars.loader:PointPillarsLoader",
        requires=(TORCH,),
        format="checkpoint",
        produces=Form("torch", encoding="float", precision="f32"),
    )


@hookimpl
def qcore_preprocessors() -> Iterator[PreprocessorSpec]:
    """The preprocessor `pillars`."""
    yield PreprocessorSpec(
        name="pillars",
        summary="KITTI clouds (.bin) to pillars and their cells",
        factory="qcore_pointpillars.pillars:Pillars",
    )


@hookimpl
def qcore_postprocessors() -> Iterator[PostprocessorSpec]:
    """The postprocessor `anchors-3d`."""
    yield PostprocessorSpec(
        name="anchors-3d",
        summary="3D anchors with direction bins and rotated NMS",
        factory="qcore_pointpillars.found:Anchors3D",
        requires=(OPENCV,),
    )


@hookimpl
def qcore_evaluators() -> Iterator[EvaluatorSpec]:
    """The evaluator `boxes-3d`."""
    yield EvaluatorSpec(
        name="boxes-3d",
        summary="Average precision of 3D boxes, in space and from above",
        factory="qcore_pointpillars.evaluation:AveragePrecision3D",
        requires=(OPENCV,),
        task="detection-3d",
        options=(Option("clouds", "directory of the clouds (default: clouds/ beside the labels)", None, Path),),
    )


@hookimpl
def qcore_results() -> Iterator[ResultSpec]:
    """Records and bird's-eye views of 3D boxes."""
    yield ResultSpec(
        name="boxes-3d",
        summary="3D boxes seen from above",
        factory="qcore_pointpillars.drawing:BirdsEye",
        requires=(OPENCV,),
        task="detection-3d",
        suffix=".png",
    )
