import pytest

from envs.arm.task import make_task
from jepa_mpc.errors import UserError


@pytest.mark.parametrize("env_id", ["jepa-mpc/Reech-v0", "jepa-mpc/Reach-v9", "Reach", "no_such_file:its/Id-v0"])
def test_an_unknown_task_is_one_sentence(env_id):
    with pytest.raises(UserError, match=f"env.env_id must be a registered task, got {env_id}: "):
        make_task(env_id=env_id, vision=None, film_size=None)
