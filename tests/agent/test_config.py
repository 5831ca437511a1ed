import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from agent.run.cli.sweep import split_sweep
from agent.run.config import tasks
from agent.run.config.building import build, shipped
from agent.run.config.composing import ConfigError, compose_config, flatten, group_names
from agent.run.config.saved import _MAX_BYTES, continues, read_config, save_config
from agent.run.config.schema import VERSION, key_of
from agent.run.config.shipped import _composed
from agent.run.stages.finished_run import compose_on_run
from agent.run.stages.vision import task_factory
from jepa_mpc.errors import UserError


@pytest.mark.parametrize(
    ("overrides", "recipe"),
    [
        ([], "reach_state"),
        (["env=push"], "push_state"),
        (["env=push", "observation=pixels"], "push_pixels"),
        (["env=push", "recipe=none"], "none"),
        (["env=push", "recipe=reach_state"], "reach_state"),
    ],
)
def test_env_and_observation_choose_a_recipe_unless_one_is_named(overrides, recipe):
    config = compose_config(overrides)
    assert config.choices["recipe"] == recipe
    assert config.recipe.startswith(f"recipe {recipe}")
    assert ("recipe=NAME chooses another" in config.recipe) == (not any("recipe" in text for text in overrides))


def test_an_env_without_a_recipe_of_its_own_has_that_of_any_env_that_is_seen_so(monkeypatch):
    groups = {**group_names(), "recipe": ["none", "pixels", "state"]}
    monkeypatch.setattr("agent.run.config.composing.group_names", lambda: groups)
    assert compose_config(["env=push"]).choices["recipe"] == "state"
    assert compose_config(["env=push", "observation=pixels"]).choices["recipe"] == "pixels"


def test_a_recipe_lies_over_the_defaults_and_under_the_command_line():
    assert compose_config(["env=push", "recipe=none"]).values.world_model.action_repeat == 1
    assert compose_config(["env=push"]).values.world_model.action_repeat == 4
    assert compose_config(["env=push", "world_model.action_repeat=2"]).values.world_model.action_repeat == 2


@pytest.mark.parametrize("recipe", group_names()["recipe"])
def test_every_recipe_composes(recipe):
    assert compose_config([f"recipe={recipe}"]).choices["recipe"] == recipe


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["env=fetch_push", "exploration=held_random"], "exploration"),  # whose recipe tells another of hand and area
        (["env=push_two", "predictor=transformer"], "predictor"),
        (["env=push", "cost=[goal_distance]"], "cost"),
        (["env=push", "world_model=jepa"], "world_model"),
    ],
)
def test_what_a_recipe_sets_of_a_group_falls_away_where_another_choice_has_no_such_key(overrides, key):
    bare = compose_config([*overrides, "recipe=none"]).values[key]
    assert compose_config(overrides).values[key].keys() == bare.keys()


@pytest.mark.parametrize("recipe", group_names()["recipe"])
def test_a_recipes_values_stay_where_its_own_choices_are_named(recipe):
    config = compose_config([f"recipe={recipe}"])
    named = {group: choice for group, choice in config.choices.items() if choice not in (None, recipe)}
    assert compose_config({"recipe": recipe, **named}).plain() == config.plain()


def test_a_misspelt_key_of_a_recipe_is_found_out_where_its_own_choice_is_named_too(tmp_path, monkeypatch):
    configs = tmp_path / "configs"
    shutil.copytree(files("configs"), configs)
    recipe = configs / "recipe" / "fetch_push_state.yaml"
    recipe.write_text(recipe.read_text().replace("max_lift", "max_lfit"))
    repository = ConfigRepository.__new__(ConfigRepository)
    repository.sources = [FileConfigSource(provider="main", path=f"file://{configs}")]
    monkeypatch.setattr("agent.run.config.shipped._repository", lambda: CachingConfigRepository(repository))
    for named in ("exploration=near_object", "env=fetch_push"):
        values, _ = _composed.__wrapped__(("recipe=fetch_push_state", named))
        assert "max_lfit" in values.exploration
    values, _ = _composed.__wrapped__(("recipe=fetch_push_state", "exploration=held_random"))
    assert "max_lfit" not in values.exploration


def test_another_applications_hydra_neither_matters_nor_notices(tmp_path):
    alone = compose_config(["planner=icem"]).plain()
    assert not GlobalHydra.instance().is_initialized()
    (tmp_path / "run.yaml").write_text("theirs: 1\n")
    ConfigStore.instance().store(group="planner", name="icem", node={"num_samples": 0})
    with initialize_config_dir(str(tmp_path), version_base=None):
        host = GlobalHydra.instance().hydra
        _composed.cache_clear()
        assert compose_config(["planner=icem"]).plain() == alone
        assert GlobalHydra.instance().hydra is host
        assert compose("run").theirs == 1
    assert not GlobalHydra.instance().is_initialized()


def test_threads_compose_at_once():
    overrides = [["planner=icem", f"seed={seed}"] for seed in range(3)] + [
        ["env=push", f"seed={seed}"] for seed in range(3)
    ]
    one_by_one = [compose_config(changes).plain() for changes in overrides]
    _composed.cache_clear()
    with ThreadPoolExecutor(len(overrides)) as threads:
        assert [config.plain() for config in threads.map(compose_config, overrides)] == one_by_one


def test_what_is_composed_is_the_callers_own():
    compose_config([]).values.planner.num_samples = 3
    assert compose_config([]).values.planner.num_samples != 3


def test_in_its_own_section_a_bare_key_will_do():
    assert compose_config(["num_episodes=7"], section="collect").values.collect.num_episodes == 7
    assert compose_config(["num_episodes=7"], section="evaluate").values.evaluate.num_episodes == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("planer.num_samples=1", "no config key 'planer.num_samples', did you mean 'planner.num_samples'"),
        ("num_samples=1", "did you mean 'planner.num_samples'"),
        ("planner=cemm", "no planner 'cemm', did you mean 'cem'"),
        (
            "env=ant",
            "no env 'ant'.*there are fetch_push, fetch_reach, pointmaze_umaze, push, push_oriented, "
            "push_slippery, push_two, reach, reach_gate, reacher",
        ),
        ("planner.num_samples=many", "planner.num_samples must be a whole number, got many"),
        ("planner.num_samples=0.5", "must be a whole number"),
        ("planner.return_mean=1", "must be true or false"),
        ("seed", "must be key=value"),
        ("seed=0,1", "add -m"),
        ("+planner.depth=3", "must change a key that exists"),
        ("~planner", "must change a key that exists"),
        ("task=push_state", "no config key 'task'"),
        ("recipe=push_stat", "no recipe 'push_stat', did you mean 'push_state'"),
        ("critic=null", r"critic must be a list, as in critic=\[cost_to_go\], or \[\] for none, got null"),
        ("planner._target_=os.system", "no config key 'planner._target_'"),
        ("env.env_id=CartPole-v1", "env.env_id belongs to a shipped yaml"),
        ("seed=null", "seed must be a whole number"),
        ("output=", "must name a folder"),
        ("output=${seed}", "by which a config means another of its values"),
        ("training.device=${seed}", "by which a config means another of its values"),
        ("training.alarm=1", "training.alarm must be a mapping of grace_steps, min_std, .* to their values, got 1"),
        ("training.alarm={min_sdt: 1.0}", "no config key 'training.alarm.min_sdt'"),
        ("planner.num_knots={_target_: os.system}", "planner.num_knots must be a plain value, got"),
        ("planner.num_knots=[{_target_: os.system}]", "planner.num_knots must be a plain value, got"),
    ],
)
def test_a_typo_is_one_sentence(override, message):
    with pytest.raises(ConfigError, match=message) as error:
        compose_config([override])
    assert "\n" not in str(error.value)


def test_a_saved_config_is_the_base_and_the_command_line_lies_on_top(tmp_path):
    save_config(compose_config(["env=push", "seed=3", "planner.num_samples=99"]), tmp_path)
    config = compose_config(["num_episodes=5"], section="evaluate", base=read_config(tmp_path))
    assert (config.choices["env"], config.values.seed) == ("push", 3)
    assert (config.values.planner.num_samples, config.values.evaluate.num_episodes) == (99, 5)


def test_another_choice_on_top_of_a_saved_config_comes_with_its_own_values(tmp_path):
    save_config(compose_config(["planner.num_samples=99"]), tmp_path)
    shipped_value = compose_config([]).values.planner.num_samples
    assert compose_config(["planner=cem"], base=read_config(tmp_path)).values.planner.num_samples == shipped_value


def test_the_blocks_of_an_embedding_are_what_was_asked_for_and_no_more(tmp_path):
    for override in ("world_model.embed_dims={block_position:2}", "seed=0"):
        config = compose_config(["env=push", override])
        save_config(config, tmp_path)
        read_back = compose_config([], base=read_config(tmp_path))
        assert read_back.values.world_model.embed_dims == config.values.world_model.embed_dims
    assert config.values.world_model.embed_dims != {"block_position": 2}


def test_an_experiment_lies_on_top_of_a_saved_config(tmp_path):
    save_config(compose_config(["evaluate.split=validation"]), tmp_path)
    config = compose_config(["experiment=smoke"], base=read_config(tmp_path))
    assert config.values.evaluate.num_episodes == compose_config(["experiment=smoke"]).values.evaluate.num_episodes
    assert config.values.evaluate.split == "validation"


def test_values_of_another_kind_in_a_checkpoint_are_one_sentence():
    shipped("predictor", {"name": "residual_mlp", "values": {"hidden_dim": 8, "num_layers": 1}})
    with pytest.raises(ConfigError, match=r"the checkpoint's predictor.hidden_dim must be a whole number, got 'wide'"):
        shipped("predictor", {"name": "residual_mlp", "values": {"hidden_dim": "wide", "num_layers": 1}})


def test_what_is_saved_is_names_and_plain_values(tmp_path):
    save_config(compose_config([]), tmp_path)
    text = (tmp_path / "config.yaml").read_text()
    assert "_target_" not in text and "${" not in text
    assert yaml.safe_load(text)["choices"]["planner"] == "cem"


@pytest.mark.parametrize(
    "attack",
    [
        "choices: {planner: cem}\nvalues: {planner: {_target_: os.system}}",
        "choices: {planner: cem}\nvalues: {planner: [{_target_: os.system}]}",
        "choices: {planner: cem}\nvalues: {seed: '${oc.env:HOME}'}",
        "choices: {planner: cem}\nvalues: !!python/object/apply:os.system ['touch pwned']",
        "choices: {planner: ../../../etc/passwd}\nvalues: {}",
        "choices: {hydra/launcher: evil}\nvalues: {}",
        "choices: {planner: cem}\nvalues: {planner: {num_samples: {a: 1}}}",
        "choices: {planner: cem}\nvalues: {planner: {depth: 1}}",
        "choices: {env: reach}\nvalues: {env: {env_id: 'this:jepa-mpc/Reach-v0'}}",
        "just text",
        "a: &a [x, x]\nb: &b [*a, *a]\nchoices: {planner: *b}\nvalues: {planner: *b}",
        "choices: {planner: cem}\nvalues: {seed: " + "[" * 5000 + "]" * 5000 + "}",
        "choices: {planner: cem}\nvalues: {seed: " + "9" * 5000 + "}",
        "choices: {planner: cem}\nvalues: {}\n" + "#" * 2**16,
        "\x00",
    ],
)
def test_a_malicious_run_folder_is_refused_and_nothing_is_executed(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(f"schema: {VERSION}\n{attack}" if "choices" in attack else attack)
    with pytest.raises(ConfigError) as error:
        compose_config([], base=read_config(tmp_path))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "pwned").exists()


def test_a_flood_of_aliases_is_refused_at_the_first(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    (tmp_path / "config.yaml").write_text("\n".join([*lines, "choices: {}", "values: {seed: *a39}"]))
    with pytest.raises(ConfigError, match="must be plain yaml, but it cannot be read: it holds an alias"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("saved", "named"), [(f"schema: {VERSION}", f"schema: {VERSION + 1}"), (f"schema: {VERSION}\n", "")]
)
def test_a_run_of_another_schema_is_refused_in_one_sentence(tmp_path, saved, named):
    save_config(compose_config([]), tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace(saved, named))
    with pytest.raises(
        ConfigError, match=rf"saved under schema (1|{VERSION + 1}), and this jepa-mpc reads schema {VERSION}"
    ):
        read_config(tmp_path)


def test_a_run_goes_on_under_its_own_config_only(tmp_path):
    save_config(compose_config([]), tmp_path)
    assert continues(compose_config(["evaluate.num_workers=1", "output=elsewhere", "training.log_every=7"]), tmp_path)
    with pytest.raises(ConfigError, match=r"seed=0, this one has seed=1: choose another output="):
        continues(compose_config(["seed=1"]), tmp_path)
    with pytest.raises(ConfigError, match="with policy=null, this one has policy=mlp: "):
        continues(compose_config(["policy=mlp"]), tmp_path)


@pytest.mark.parametrize(
    "named",
    [
        {"name": "mlp", "values": {"_target_": "os.system"}},
        {"name": "../planner/cem", "values": {}},
        {"name": "nonesuch", "values": {}},
        {"name": "mlp", "values": {"depth": 3}},
        {"name": "mlp"},
        "mlp",
    ],
)
def test_a_checkpoint_cannot_name_what_is_not_shipped(named):
    with pytest.raises(ConfigError):
        shipped("encoder", named)


def test_hyper_parameters_that_do_not_fit_are_a_users_mistake():
    with pytest.raises(ConfigError, match="num_elites must be in"):
        build(compose_config(["planner.num_elites=100000"]).values.planner)


def test_a_target_that_python_does_not_find_is_a_users_mistake():
    with pytest.raises(UserError, match=r"^_target_ must name what Python finds, got 'envs.arm.task.make_taks'$"):
        key_of("env.env_id", OmegaConf.create({"env": {"_target_": "envs.arm.task.make_taks"}}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sucess": {"info": "it"}}, "configs/env/reacher.yaml must have no key 'sucess', did you mean 'success'"),
        ({"_partial_": False}, "configs/env/reacher.yaml must say `_partial_: true`"),
    ],
)
def test_a_yaml_of_ones_own_that_does_not_fit_its_target_is_one_sentence(change, complaint):
    config = compose_config(["env=reacher"])
    OmegaConf.set_struct(config.values, False)
    config.values.env.update(change)
    with pytest.raises(ConfigError, match=complaint):
        task_factory(config)


def test_an_env_is_told_by_what_was_recorded_and_of_several_by_what_is_asked_for(monkeypatch):
    ids = {"first": "other:Pole-v0", "mine": "Cart-v0", "nameless": None, "second": "Pole-v0", "third": "Pole-v0"}
    specs = {name: SimpleNamespace(task_id="Pole-v0", num_steps=num) for num, name in enumerate(ids)}
    monkeypatch.setattr(tasks, "group_names", lambda: {"env": list(ids)})
    monkeypatch.setattr(tasks, "_spec", lambda name: None if name == "first" else specs[name])
    monkeypatch.setattr(
        tasks,
        "compose_config",
        lambda changes: SimpleNamespace(values=OmegaConf.create({"env": {"env_id": ids[changes[0][4:]]}})),
    )

    def name_of(spec, **asked):
        return tasks.env_name(SimpleNamespace(folder="here", manifest=SimpleNamespace(env=spec)), **asked)

    assert [name_of(specs[name]) for name in ("second", "third", "mine")] == ["second", "third", "first"]
    assert name_of(specs["second"], asked="third") == "third"
    assert name_of(specs["second"], asked="nameless") == "second"
    assert name_of(SimpleNamespace(task_id="Cart-v0")) == "mine"
    with pytest.raises(ConfigError, match="the episodes in 'here' are of Boat-v0, none of"):
        name_of(SimpleNamespace(task_id="Boat-v0"))


@pytest.fixture
def nested():
    cem = compose_config([]).values.planner
    return OmegaConf.create(
        {"_target_": "types.SimpleNamespace", "search": cem, "others": [cem], "alarm": {"min_std": 0.1}}
    )


def test_a_planner_of_planners_is_built_from_the_inside(nested):
    cem = build(compose_config([]).values.planner)
    assert build(nested) == SimpleNamespace(search=cem, others=[cem], alarm={"min_std": 0.1})


def test_what_does_not_fit_deep_inside_is_a_users_mistake(nested):
    nested.search.num_elites = 100_000
    with pytest.raises(ConfigError, match=r"^num_elites must be in 2\.\.num_samples=256, got 100000$"):
        build(nested)


@pytest.mark.parametrize("name", group_names()["planner"])
def test_every_planner_is_read_back_as_it_was_saved_and_changed_at_every_depth(tmp_path, name):
    shipped_planner = compose_config([f"planner={name}"])
    save_config(shipped_planner, tmp_path)
    read_back = compose_config([], base=read_config(tmp_path))
    assert build(read_back.values.planner) == build(shipped_planner.values.planner)
    for key, value in flatten(shipped_planner.plain()["values"]["planner"]).items():
        if isinstance(value, float):
            config = compose_config([f"planner.{key}={value + 1}"], base=read_config(tmp_path))
            assert flatten(config.plain()["values"]["planner"])[key] == value + 1


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (["seed=0"], [["seed=0"]]),
        (["-m", "seed=0,1", "output=x"], [["seed=0", "output=x", "output=x/0"], ["seed=1", "output=x", "output=x/1"]]),
        (["-m", "seed=0,1"], [["seed=0"], ["seed=1"]]),
        (
            ["-m", "planner.num_samples=8,9", "output=x"],
            [["planner.num_samples=8", "output=x", "output=x/0"], ["planner.num_samples=9", "output=x", "output=x/1"]],
        ),
        (["-m", "env=reach,push", "seed=2"], [["env=reach", "seed=2"], ["env=push", "seed=2"]]),
        (["-m", "seed=range(3)"], [["seed=0"], ["seed=1"], ["seed=2"]]),
    ],
)
def test_a_sweep_runs_every_combination(arguments, runs):
    assert split_sweep(arguments) == runs


def test_runs_of_a_sweep_never_share_a_folder():
    with pytest.raises(ConfigError, match=r"a sweep over planner.num_samples needs output=DIR"):
        split_sweep(["-m", "planner.num_samples=8,9"])


def test_every_config_group_has_at_least_one_yaml():
    assert all(names for group, names in group_names().items())


def test_paths_are_taken_as_they_are_typed():
    assert compose_config(["output=runs/été (1),2"]).values.output == "runs/été (1),2"


@pytest.mark.parametrize(
    "override", ["seed=4", "env=reach", "recipe=none", "encoder.hidden_dim=7", "regularizer=vicreg"]
)
def test_what_a_model_was_trained_with_cannot_be_changed_afterwards(tmp_path, override):
    save_config(compose_config(["env=push", "seed=3"]), tmp_path)
    with pytest.raises(ConfigError, match=r"the run was made with .*: train anew for that"):
        compose_config([override], base=read_config(tmp_path))


def test_python_says_the_same_as_the_command_line():
    typed = ["env=push", "planner=icem", "planner.num_samples=32", "collect.num_episodes=10", "critic=[cost_to_go]"]
    typed += ["policy=mlp", "output=runs/x", "training.alarm.min_std=0.2", "world_model.embed_dims={tip:2}"]
    said = {
        "env": "push",
        "planner": "icem",
        "planner.num_samples": np.int64(32),
        "collect": {"num_episodes": 10},
        "critic": ("cost_to_go",),
        "policy": "mlp",
        "output": Path("runs/x"),
        "training": {"alarm": {"min_std": 0.2}},
        "world_model": {"embed_dims": {"tip": 2}},
    }
    assert compose_config(said).plain() == compose_config(typed).plain()


def test_a_mapping_changes_some_keys_and_leaves_the_others():
    values = compose_config(["training.alarm={min_std: 0.2}"]).values.training.alarm
    assert {**values, "min_std": 0.1} == dict(compose_config([]).values.training.alarm)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"planer": "icem"}, "no config key 'planer', did you mean 'planner'"),
        ({"planner": {"num_sample": 3}}, "did you mean 'planner.num_samples'"),
        ({"planner": 3}, "no planner '3'"),
        ({"seed": 1.5}, "seed must be a whole number in 0..999, got 1.5"),
        ({"output": ""}, "must name a folder"),
        ("seed=1", r"changes must be a list, as in \['seed=1'\], or a mapping, got 'seed=1'"),
    ],
)
def test_a_typo_in_python_is_one_sentence(said, message):
    with pytest.raises(ConfigError, match=message) as error:
        compose_config(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spelled", [{"run": "it"}, {"evaluate.run": "it"}, {"evaluate": {"run": "it"}}])
def test_a_finished_run_is_found_however_its_key_is_spelled(tmp_path, monkeypatch, spelled):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it").mkdir()
    save_config(compose_config([]), tmp_path / "it")
    assert compose_on_run(spelled, command="evaluate", section="evaluate")[1] == Path("it")


def test_what_is_saved_is_far_below_what_is_read(tmp_path):
    save_config(compose_config(["critic=[cost_to_go,quasimetric,delta_step]", "policy=mlp"]), tmp_path)
    assert 4 * (tmp_path / "config.yaml").stat().st_size < _MAX_BYTES
