"""Three environments as anybody might write them for Gymnasium: buttons, forces, and a camera."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Buttons(gymnasium.Env):
    """A counter on a line of 11 places: one button goes left, one right, and one does nothing."""

    metadata = {"render_modes": []}

    def __init__(self, render_mode=None):
        self.action_space = spaces.Discrete(3, start=1)
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-1, 1, (1,), np.float32), "target": spaces.Box(-1, 1, (1,), np.float32)}
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._place, self._target = self.np_random.choice(11, 2, replace=False)
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self._place = int(np.clip(self._place + (action - 2), 0, 10))
        return self._observation(), 0.0, False, False, {}

    def _observation(self):
        return {name: np.float32([(it - 5) / 5]) for name, it in (("place", self._place), ("target", self._target))}


class Forces(gymnasium.Env):
    """A mass that is pushed up by 0 to 300 N against its weight; it is over where the mass touches floor or ceiling."""

    metadata = {"render_modes": [], "render_fps": 20}
    dt = 0.05

    def __init__(self, render_mode=None):
        self.action_space = spaces.Box(0.0, 300.0, (1,), np.float64)
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._height, self._speed = self.np_random.uniform(0.8, 1.2), 0.0
        self._target = self.np_random.uniform(0.6, 1.4)
        return self._observation(), {"is_success": False}

    def step(self, action):
        assert self.action_space.contains(action), action
        for _ in range(5):
            self._speed += 0.01 * (float(action[0]) / 10.0 - 9.81)
            self._height += 0.01 * self._speed
        return self._observation(), 0.0, not 0 < self._height < 2, False, {"is_success": self._near}

    @property
    def _near(self):
        return abs(self._height - self._target) < 0.1

    def _observation(self):
        return np.array([self._height, self._speed, self._target])


class Sees(gymnasium.Env):
    """A point in the plane, seen by a camera as a white square, which is to go to a place."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = spaces.Dict(
            {
                "eye": spaces.Dict({"frame": spaces.Box(0, 255, (32, 32, 3), np.uint8)}),
                "place": spaces.Box(0, 1, (2,), np.float32),
                "target": spaces.Box(0, 1, (2,), np.float32),
            }
        )

    def reset(self, *, seed=None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._place, self._target = self.np_random.uniform(0.1, 0.9, (2, 2))
        return self._observation(), {}

    def step(self, action):
        self._place = np.clip(self._place + 0.1 * np.asarray(action, np.float64), 0, 1)
        return self._observation(), 0.0, False, False, {}

    def render(self):
        frame = np.full((32, 32, 3), 60, np.uint8)
        row, column = np.int64(28 * self._place)
        frame[row : row + 4, column : column + 4] = 255
        return frame

    def _observation(self):
        return {
            "eye": {"frame": self.render()},
            "place": np.float32(self._place),
            "target": np.float32(self._target),
        }


for name, made in (("Buttons", Buttons), ("Forces", Forces), ("Sees", Sees)):
    if f"toys/{name}-v0" not in gymnasium.registry:
        gymnasium.register(f"toys/{name}-v0", entry_point=made, max_episode_steps=25)

YAMLS = {
    "buttons": """
env_id: toys:toys/Buttons-v0
goal: {place: target}
success: {within: {place: 0.01}}
idle: 1
control_dt: 0.5
""",
    "forces": """
env_id: toys:toys/Forces-v0
sensors:
  height: {reads: "observation[0:1]", unit: m}
  speed: {reads: "observation[1:2]", unit: m/s}
goal: {height: "observation[2:3]"}
""",
    "sees": """
env_id: toys:toys/Sees-v0
sensors:
  eye_frame: {reads: eye.frame, unit: ""}
  place: {reads: place, unit: m}
goal: {place: target}
success: {within: {place: 0.05}}
idle: [0.0, 0.0]
""",
}
"""What a user writes to make tasks of them; what is not said here is null."""
