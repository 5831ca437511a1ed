"""Prints how many frames a second an OpenGL backend renders: `python -m envs.rendering egl`."""

import sys

from envs.rendering.opengl import OpenGLRenderer
from envs.rendering.speed import frames_per_second
from envs.rendering.types import NothingRenders

backend = sys.argv[1]
try:
    print(frames_per_second(OpenGLRenderer, backend=backend))
except NothingRenders as error:
    sys.exit(str(error))
