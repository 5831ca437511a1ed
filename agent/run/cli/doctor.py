"""jepa-mpc doctor: report versions, cores, threads and GPU, what can render and be filmed, and what mends the rest.

usage: jepa-mpc doctor
"""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch

from agent.evaluation.pictures.files import FILM_FORMATS, missing_plugin
from agent.run.config.composing import ConfigError
from envs.rendering import BACKENDS, probe_backend

_PACKAGES = ("jepa-mpc", "torch", "mujoco", "gymnasium", "numpy", "scipy", "hydra-core", "imageio")


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    if arguments:
        raise ConfigError(f"doctor takes no arguments, got {list(arguments)}")
    print(f"python        {platform.python_version()} at {sys.executable}, {platform.platform()}")
    for package in _PACKAGES:
        print(f"{package.ljust(13)} {_version(package)}")
    print(f"cores         {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}")
    print(f"torch threads {torch.get_num_threads()}")
    print(f"GPU           {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none; none is needed'}")
    for backend in BACKENDS:
        print(f"{backend.ljust(13)} {probe_backend(backend).message}")
    for film_format in FILM_FORMATS:
        print(f"{film_format.ljust(13)} {missing_plugin(film_format) or 'films can be written'}")
    print("Camera frames and films take the first of these renderers that works; state observations need none.")
    return 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing: run `make install`"
