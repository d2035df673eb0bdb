"""Where bodies run that are too heavy to run here: processes of this machine, Dask, Ray."""

from collections.abc import Mapping

from ..ports import Executor
from .dask import DaskExecutor
from .process import ProcessExecutor
from .ray import RayExecutor

DEFAULTS: Mapping[str, Executor] = {"process": ProcessExecutor(), "dask": DaskExecutor(), "ray": RayExecutor()}
"""Name -> the executor that every orchestrator has under it, unless it was given another one."""

__all__ = ["DEFAULTS", "DaskExecutor", "ProcessExecutor", "RayExecutor"]
