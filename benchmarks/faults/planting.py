"""Faults that are kept as patches, and copies of this tree in which they are planted."""

import os
import shutil
import subprocess
from pathlib import Path

from jepa_mpc.errors import UserError

NO_FAULT = "no_fault"
"""The tree as it is."""

_FOLDER = Path(__file__).parent
_ROOT = _FOLDER.parents[1]
_PARTS = ("agent", "benchmarks", "configs", "envs", "jepa_mpc", "planners", "tests", "world_model", "pyproject.toml")


def fault_names() -> list[str]:
    """Returns the names of the faults that there are."""
    return sorted(path.stem for path in _FOLDER.glob("*.patch"))


def says(name: str) -> str:
    """Returns what a fault does: the first line of its patch."""
    return "" if name == NO_FAULT else _patch(name).read_text(encoding="utf-8").splitlines()[0]


def plant(name: str, folder: Path) -> Path:
    """Copies this tree to a new folder with a fault in it.

    Raises:
        UserError: The fault's patch does not apply to this tree, or there is no git to apply it.
    """
    folder.mkdir(parents=True)
    for part in _PARTS:
        if (_ROOT / part).is_dir():
            shutil.copytree(_ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(_ROOT / part, folder / part)
    if name != NO_FAULT:
        apply(name, folder)
    return folder


def apply(name: str, folder: Path) -> None:
    """Plants a fault in a copy of this tree; see `plant`."""
    outside = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}  # the copy is no part of a repository around it
    try:
        applied = subprocess.run(
            ["git", "apply", str(_patch(name))],
            cwd=folder,
            env=os.environ | outside,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise UserError("faults are planted by git apply, and there is no git: install it") from None
    if applied.returncode:
        reason = " ".join(applied.stderr.split())
        raise UserError(f"the fault '{name}' no longer applies: write {_patch(name)} anew ({reason})")


def _patch(name: str) -> Path:
    return _FOLDER / f"{name}.patch"
