"""Are our packages ours? Their names are plain words, which a file beside a script may have too."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

PACKAGES = ("agent", "configs", "envs", "planners", "world_model")

_ROOT = Path(__file__).resolve().parents[1]


class PackageHiddenError(ImportError):
    """Another module has the name of one of our packages; the sentence names its file."""


def check_packages() -> None:
    """Refuses to go on where Python takes something else for one of our packages.

    Raises:
        PackageHiddenError: It does.
    """
    for name in PACKAGES:
        try:
            spec = find_spec(name)
        except ValueError:  # a module that was made by hand
            spec = None
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if found is None:
            raise PackageHiddenError(f"Python finds no package '{name}', it belongs in {_ROOT}: install jepa-mpc again")
        if found.parent != _ROOT / name:
            raise PackageHiddenError(
                f"'{found}' is in the way: Python takes it for jepa-mpc's package '{name}', which lies in {_ROOT}; "
                "give that file another name, or start Python where it is not found"
            )


def prefer_packages() -> None:
    """Lets our packages go before others of their names; for processes that are ours alone."""
    sys.meta_path.insert(0, _OurPackages())


class _OurPackages(PathFinder):
    @classmethod
    def find_spec(
        cls, fullname: str, _path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds our packages where they lie, and nothing else."""
        return super().find_spec(fullname, [str(_ROOT)], target) if fullname in PACKAGES else None
