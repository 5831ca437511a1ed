import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.rendering import Marker, NothingRenders, make_renderer, probe_backend
from envs.rendering.pinhole import Pinhole
from envs.simulator import mujoco

SCENE = """
<mujoco>
  <visual>
    <quality shadowsize="0" offsamples="0" numslices="48" numstacks="24"/>
    <headlight ambient="0.2 0.3 0.4" diffuse="0.4 0.3 0.2" specular="0 0 0"/>
  </visual>
  <worldbody>
    <light directional="true" dir="1 2 -3" diffuse="0.3 0.4 0.3" ambient="0.1 0 0.1" specular="0 0 0"/>
    <light directional="true" dir="-2 1 -1" diffuse="0.2 0.1 0.2" specular="0 0 0"/>
    <light directional="true" active="false" dir="0 0 -1"/>
    <camera name="still" pos="0 -2 1.2" xyaxes="1 0 0 0 0.5 1" fovy="50"/>
    <geom type="plane" size="1 0.7 0.1" rgba="0.4 0.6 0.8 1"/>
    <geom type="box" pos="-0.6 0.3 0.2" euler="10 20 30" size="0.2 0.1 0.15" rgba="0.9 0.4 0.2 1"/>
    <geom type="sphere" pos="0 0 0.3" size="0.5" group="3"/>
    <body pos="0.1 0 0.4">
      <joint axis="1 2 3"/>
      <joint type="slide" axis="1 0 0"/>
      <camera name="riding" pos="0 -1.3 0.1" xyaxes="1 0.1 0 0 0 1" fovy="60"/>
      <geom type="capsule" fromto="-0.3 0 0 0.3 0.2 0.1" size="0.08" rgba="0.2 0.8 0.4 1"/>
      <geom type="ellipsoid" pos="0.4 0.2 0" size="0.2 0.1 0.15" rgba="0.8 0.2 0.6 1"/>
      <geom type="cylinder" pos="-0.3 0.3 0.1" size="0.1 0.15" rgba="0.4 0.2 1 1"/>
      <geom type="sphere" pos="0 -0.2 0.2" size="0.1" rgba="1 1 1 1"/>
      <site pos="0 -0.4 0.2" size="0.1" group="4"/>
    </body>
  </worldbody>
</mujoco>
"""

MOVED_BY_HAND = """
    <body mocap="true" pos="-0.2 -0.5 0.3">
      <geom type="sphere" size="0.08" rgba="0.9 0.8 0.1 1"/>
      <body pos="0.15 0 0">
        <geom type="box" size="0.05 0.05 0.05" rgba="0.1 0.8 0.9 1"/>
      </body>
    </body>
"""


def scene(xml: str = SCENE):
    model = mujoco.MjModel.from_xml_string(xml)
    return model, mujoco.MjData(model)


def move(model, data, generator: np.random.Generator) -> None:
    data.qpos[:] = generator.uniform(-0.5, 0.5, model.nq)
    data.mocap_pos[:] += generator.uniform(-0.1, 0.1, (model.nmocap, 3))
    mujoco.mj_kinematics(model, data)


def difference(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.abs(image.astype(int) - other).max(axis=2)


def test_every_shape_is_drawn_as_opengl_draws_it() -> None:
    if not probe_backend("egl").works:
        pytest.skip("no EGL on this machine")
    model, data = scene()
    generator = np.random.default_rng(0)
    for camera in ("still", "riding"):
        by_backend = {
            backend: make_renderer(model, camera=camera, width=120, height=80, backend=backend)
            for backend in ("egl", "raycast")
        }
        for _ in range(3):
            move(model, data, generator)
            marker = Marker(position=data.geom_xpos[-1].astype(np.float32) - [0, 0.05, 0], radius=0.25)
            other = Marker(position=marker.position + np.float32([0.1, 0.7, 0.1]), radius=0.4)
            for markers in ([], [marker, other], [other, marker]):
                images = [renderer.image(data, markers=markers) for renderer in by_backend.values()]
                off = difference(*images)
                assert np.median(off) == 0
                assert off.mean() < 0.3
                assert (off > 8).mean() < 0.008, "only outlines may fall on the next pixel"
        for renderer in by_backend.values():
            renderer.close()


@pytest.mark.parametrize("camera", ["still", "riding"])
def test_no_pixel_of_what_moves_is_left_out(camera: str) -> None:
    """Against one ray at a time through all that there is, without any of the short cuts."""
    model, data = scene(SCENE.replace("</worldbody>", f"{MOVED_BY_HAND}</worldbody>"))
    generator, width, height = np.random.default_rng(1), 24, 18
    index, shown, one = model.camera(camera).id, np.array([1, 1, 1, 0, 0, 0], np.uint8), np.zeros(1, np.int32)
    tangent = np.tan(np.radians(model.cam_fovy[index]) / 2)
    colors = np.vstack([np.round(255 * model.geom_rgba[:, :3]), np.zeros(3)])
    model.vis.headlight.ambient[:] = 1  # colours as they are, to tell the geoms apart
    model.vis.headlight.diffuse[:] = 0
    model.light_diffuse[:] = model.light_ambient[:] = 0
    renderer = make_renderer(model, camera=camera, width=width, height=height, backend="raycast")
    for _ in range(5):
        move(model, data, generator)
        image = renderer.image(data)
        for row in range(height):
            for column in range(width):
                x, y = (2 * column + 1 - width) / height * tangent, (height - 1 - 2 * row) / height * tangent
                ray = data.cam_xmat[index].reshape(3, 3) @ [x, y, -1]
                mujoco.mj_ray(model, data, data.cam_xpos[index], ray, shown, True, -1, one)
                np.testing.assert_array_equal(image[row, column], colors[one[0]])


def test_light_follows_lamberts_law() -> None:
    model, data = scene(
        """<mujoco><visual><headlight ambient=".1 .2 .3" diffuse=".4 .4 .4"/></visual><worldbody>
        <light directional="true" dir="0 -.6 -.8" diffuse=".5 .5 .3" specular="0 0 0"/>
        <camera name="above" pos="0 0 3" fovy="45"/>
        <geom type="plane" size="9 9 1" rgba=".5 .8 1 1"/></worldbody></mujoco>"""
    )
    mujoco.mj_kinematics(model, data)
    image = make_renderer(model, camera="above", width=4, height=4, backend="raycast").image(data)
    light = np.array([0.1, 0.2, 0.3]) + 0.4 + 0.8 * np.array([0.5, 0.5, 0.3])
    expected = np.minimum(255, np.floor(255 * light * [0.5, 0.8, 1.0] + 0.5))
    np.testing.assert_array_equal(image, np.broadcast_to(expected, (4, 4, 3)))


def test_a_sphere_is_a_disc_of_the_right_size() -> None:
    model, data = scene(
        """<mujoco><worldbody><camera name="above" pos="0 0 2" fovy="60"/>
        <geom size=".5" rgba="1 0 0 1"/></worldbody></mujoco>"""
    )
    mujoco.mj_kinematics(model, data)
    image = make_renderer(model, camera="above", width=200, height=100, backend="raycast").image(data)
    rows, columns = np.nonzero(image[..., 0])
    radius = 50 / np.tan(np.radians(30)) * np.tan(np.arcsin(0.25))  # pixels
    np.testing.assert_allclose([rows.mean(), columns.mean()], [49.5, 99.5], atol=1e-9)
    assert len(rows) == pytest.approx(np.pi * radius**2, rel=0.01)
    assert image[0, 0].tolist() == [0, 0, 0], "nothing is black"


def test_every_ray_that_meets_a_box_is_among_its_pixels() -> None:
    pinhole, generator = Pinhole(fovy=np.radians(50), width=30, height=20), np.random.default_rng(2)
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for _ in range(1000):
        frame = np.linalg.qr(generator.normal(size=(3, 3)))[0]
        center, sides = generator.normal(size=3) * (1, 1, 0.5), generator.uniform(0.01, 0.8, size=3)
        rays, middle = pinhole.rays() @ frame, center @ frame
        bounds = np.stack([(middle - sides) / rays, (middle + sides) / rays])
        enters, leaves = bounds.min(axis=0).max(axis=1), bounds.max(axis=0).min(axis=1)
        met = np.flatnonzero((enters <= leaves) & (leaves > 0))
        assert set(met.tolist()) <= set(pinhole.pixels((center + sides * signs @ frame.T)[None]).tolist())


def test_what_is_behind_or_beside_the_camera_has_no_pixels() -> None:
    pinhole = Pinhole(fovy=np.radians(50), width=30, height=20)
    assert pinhole.pixels(np.array([[[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)]])).size == 0, "behind"
    assert pinhole.pixels(np.array([[[9.0 + x, y, -1.0] for x in (-1, 1) for y in (-1, 1)]])).size == 0, "beside"
    assert pinhole.pixels(np.array([[[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]])).size == 600


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('size=".5"', 'size=".5" rgba="1 0 0 .5"'), "translucent"),
        (
            ("<worldbody>", '<asset><texture type="skybox" builtin="flat" width="8" height="8"/></asset><worldbody>'),
            "textures",
        ),
        (("<worldbody>", "<worldbody><light/>"), "directional lights only, light 0"),
    ],
)
def test_what_rays_would_draw_otherwise_than_opengl_is_refused(change: tuple[str, str], message: str) -> None:
    xml = '<mujoco><worldbody><camera name="a"/><geom size=".5"/></worldbody></mujoco>'
    make_renderer(scene(xml)[0], camera="a", width=8, height=8, backend="raycast")
    with pytest.raises(NothingRenders, match=message):
        make_renderer(scene(xml.replace(*change))[0], camera="a", width=8, height=8, backend="raycast")


def test_a_material_gives_its_colour() -> None:
    model, data = scene(
        """<mujoco><visual><headlight ambient="1 1 1" diffuse="0 0 0"/></visual>
        <asset><material name="brick" rgba=".8 .2 0 1"/></asset>
        <worldbody><camera name="above" pos="0 0 2"/><geom size=".5" material="brick"/></worldbody></mujoco>"""
    )
    mujoco.mj_kinematics(model, data)
    image = make_renderer(model, camera="above", width=3, height=3, backend="raycast").image(data)
    assert image[1, 1].tolist() == [204, 51, 0]


@pytest.mark.parametrize("task", ["Reach", "Push"])
@pytest.mark.parametrize("camera", ["fixed", "wrist"])
@pytest.mark.parametrize("size", [64, 128])
def test_the_shipped_tasks_look_the_same_by_rays_and_by_egl(task: str, camera: str, size: int) -> None:
    if not probe_backend("egl").works:
        pytest.skip("no EGL on this machine")
    env = gymnasium.make(f"jepa-mpc/{task}-v0").unwrapped
    renderers = [
        make_renderer(env.model, camera=camera, width=size, height=size, backend=backend)
        for backend in ("egl", "raycast")
    ]
    for seed in range(5):
        env.reset(seed=seed)
        off = difference(*(renderer.image(env.data) for renderer in renderers))
        assert off.mean() < 1
        assert (off > 8).mean() < 0.01
    for renderer in renderers:
        renderer.close()
