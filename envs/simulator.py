"""MuJoCo, imported so that it works where nothing can be drawn.

Where `MUJOCO_GL` names a backend that is unknown or not installed, MuJoCo's own import fails, although a simulation
draws nothing.
"""

import os

try:
    import mujoco
except (AttributeError, ImportError, RuntimeError):  # what PyOpenGL raises without a driver, and MuJoCo itself
    backend = os.environ["MUJOCO_GL"]
    os.environ["MUJOCO_GL"] = "disabled"
    import mujoco

    os.environ["MUJOCO_GL"] = backend

__all__ = ["mujoco"]
