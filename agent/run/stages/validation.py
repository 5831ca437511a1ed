"""All values of a config are tried before the first long stage, so that no work is lost to a mistake in the last."""

from contextlib import closing

from agent.configurator.types import REACTIVE
from agent.evaluation.oracle import OracleModel
from agent.evaluation.pictures.files import missing_plugin
from agent.evaluation.scenarios.types import Scenario
from agent.evaluation.seeds import Entries, episode_seeds
from agent.evaluation.statistics import best_bound, episodes_to_decide
from agent.latency import control_steps
from agent.run.config.building import build
from agent.run.config.composing import Config, ConfigError
from agent.run.config.refusals import refusals
from agent.run.stages.loading import build_actor, configured_latency, critic_learning, steps_critic
from agent.run.stages.modules import Modules, build_modules, model_configs
from agent.run.stages.scenario import scenario_maker
from agent.run.stages.vision import configured_task
from envs.episodes.exploration import UniformRandom
from envs.spec import DiscreteActions, TaskSpec
from envs.types import HasState


def validate(config: Config, spec: TaskSpec) -> None:
    """Builds everything that a config asks for, once, and throws it away.

    Args:
        config: Of a run.
        spec: Of the task.

    Raises:
        ConfigError: A value that does not fit.
    """
    values = config.values
    validate_collection(config, spec)
    _validate_evaluation(config)
    max_shift, size = build(values.training).augmentation["max_shift"], values.observation.image_size
    if max_shift >= size:
        raise ConfigError(
            f"training.augmentation.max_shift must be below observation.image_size={size}, else nothing is left of a "
            f"picture, got {max_shift}"
        )
    build(values.dynamics_training)
    if any(spec.sensors[name].is_image for name in spec.perceived):
        _validate_persistence(config, spec)
    build(values.learning)
    build(values.online)
    build(values.pictures)
    if values.policy is not None:
        if steps_critic(config) is None:
            raise ConfigError(
                "a policy learns from a critic of how far the goal is in steps: add one, as critic=[cost_to_go]"
            )
        if isinstance(spec.actions, DiscreteActions):
            raise ConfigError(
                f"a policy is refined by gradients, which a choice among {spec.actions.num_actions} discrete actions "
                "does not pass: do without one, by policy=null"
            )
        build(values.policy.learning)
    with refusals():
        _stage_once(config, spec)
    modules = build_modules(config, model_configs(config), spec)
    with refusals("regularizer."):
        build(values.regularizer).attach(modules.world_model)
    build_actor(config, modules)
    _validate_latency(config, spec)
    if values.evaluate.oracle or values.evaluate.diagnose:
        _look_ahead_once(config, modules)


def _validate_persistence(config: Config, spec: TaskSpec) -> None:
    """Checks that what persists of a camera's pictures can tell places, and goals ask for nothing else.

    Raises:
        ConfigError: It cannot, or they do.
    """
    values = config.values
    goal_dim, camera_dim = values.world_model.goal_dim, values.world_model.camera_dim
    if values.training.persistence_weight == 0:
        if goal_dim is not None:
            raise ConfigError(
                "world_model.goal_dim must be null where training.persistence_weight is 0, got "
                f"{goal_dim}: the first numbers of a camera's block tell no place then"
            )
        return
    if values.dynamics_training.num_steps == 0:
        raise ConfigError(
            "dynamics_training.num_steps must be above 0 where training.persistence_weight is, got 0: a camera's block "
            "is made to tell places before the dynamics go on alone"
        )
    if isinstance(spec.actions, DiscreteActions):
        raise ConfigError(
            "training.persistence_weight must be 0 where a robot has a choice among "
            f"{spec.actions.num_actions} discrete actions, got {values.training.persistence_weight}: how far they go "
            "tells places"
        )
    action_dim, cameras = len(spec.actions.low), [name for name, it in spec.sensors.items() if it.is_image]
    if values.training.persistent_dim < action_dim:
        raise ConfigError(
            f"training.persistent_dim must be at least {action_dim}, got {values.training.persistent_dim}: a place "
            f"takes {action_dim} numbers"
        )
    if named := [name for name in values.world_model.embed_dims or () if name in cameras]:
        raise ConfigError(
            f"world_model.embed_dims must name no camera where training.persistence_weight is above 0, got {named[0]}: "
            "world_model.camera_dim says how large the block of each is"
        )
    if camera_dim <= 2 * action_dim:
        raise ConfigError(
            f"world_model.camera_dim must be above {2 * action_dim} where training.persistence_weight is above 0, got "
            f"{camera_dim}: two places take {action_dim} numbers each"
        )
    if goal_dim is not None and goal_dim > camera_dim - action_dim:
        raise ConfigError(
            f"world_model.goal_dim must be at most {camera_dim - action_dim}, got {goal_dim}: the last {action_dim} of "
            f"camera_dim={camera_dim} numbers tell where the robot is"
        )


def validate_collection(config: Config, spec: TaskSpec) -> None:
    """Checks what a collection asks for.

    Args:
        config: Of a run.
        spec: Of the task.

    Raises:
        ConfigError: A value that does not fit.
    """
    with refusals():
        build(config.values.exploration)(spec)


def _stage_once(config: Config, spec: TaskSpec) -> None:
    """Sets the scene of the first evaluated episode, and checks that an oracle could look ahead there."""
    seed = episode_seeds(config.values.evaluate.split, 1)[0]
    with closing(configured_task(config)) as task:
        for key in ("oracle", "diagnose"):
            if config.values.evaluate[key] and not isinstance(task, HasState):
                raise ConfigError(
                    f"evaluate.{key} must be 0 here, got {config.values.evaluate[key]}: the oracle needs a task that "
                    f"can be saved and restored, and {spec.task_id} cannot"
                )
        staged, _ = scenario_maker(config)(spec).stage(task, UniformRandom(spec), seed=seed)
        staged.reset(seed)


def _look_ahead_once(config: Config, modules: Modules) -> None:
    """Lets the oracle decide once: not every planner can plan in a simulator."""
    world_model = modules.world_model.eval()  # a single picture has no statistics of a batch
    with closing(configured_task(config)) as task:
        assert isinstance(task, HasState), "or the stage would not have been set"
        oracle = OracleModel(world_model=world_model, task=task, action_repeat=world_model.action_repeat)
        actor = build_actor(config, modules, world_model=oracle)
        frame = task.reset(episode_seeds(config.values.evaluate.split, 1)[0])
        actor.reset(frame.goal, seed=0)
        actor.act(frame.readings)


def _validate_latency(config: Config, spec: TaskSpec) -> None:
    """Checks that no oracle looks ahead where actions are late, or taken to be: it knows of none that are under way.

    Raises:
        ConfigError: One is to.
    """
    with refusals("scenario."):
        scenario: Scenario = build(config.values.scenario)(spec)
    latency = max(configured_latency(config, spec), scenario.latency)
    for key in ("oracle", "diagnose"):
        if latency and config.values.evaluate[key]:
            raise ConfigError(
                f"evaluate.{key} must be 0 where actions are {control_steps(latency)} late, or taken to be, got "
                f"{config.values.evaluate[key]}: the oracle does not know of actions that are under way"
            )


def validate_learning(config: Config, num_episodes: int, longest: int) -> None:
    """Checks what only learning asks for: what trains, episodes enough and long enough, plans as long as is imitated.

    Args:
        config: Of a run.
        num_episodes: To learn from and to validate on.
        longest: Control steps of the longest episode.

    Raises:
        ConfigError: A value that does not fit.
    """
    if num_episodes < 2:
        raise ConfigError(f"training needs at least 2 episodes, one of them to validate on, got {num_episodes}")
    values = config.values
    with refusals():
        build(values.training).on_this_machine()
    repeat, horizon = values.world_model.action_repeat, values.configurator.horizon
    context = values.world_model.context_length
    for stage in ("training", "dynamics_training"):
        rollout = values[stage].rollout_length if values[stage].num_steps else 1
        window = (context + rollout - 1) * repeat
        if window > longest:
            raise ConfigError(
                f"{stage}.rollout_length={rollout} and world_model.context_length={context} take {window} control "
                f"steps, and the longest episode has {longest}: imagine fewer steps, or record longer episodes"
            )
    if values.policy is not None and values.policy.learning.num_imitated > horizon:
        raise ConfigError(
            f"policy.learning.num_imitated must be at most configurator.horizon={horizon}, the steps of a plan, "
            f"got {values.policy.learning.num_imitated}"
        )
    for name in values.critic:
        num_ahead = critic_learning(config, name).num_ahead
        if num_ahead * repeat > longest:
            raise ConfigError(
                f"the critic '{name}' looks {num_ahead} model steps ahead, {num_ahead * repeat} control steps, and the "
                f"longest episode has {longest}: record longer ones, or lower world_model.action_repeat"
            )


def _validate_evaluation(config: Config) -> None:
    """Checks what values of an evaluation ask of each other."""
    film_format = config.values.evaluate.video_format
    if config.values.evaluate.videos and (missing := missing_plugin(film_format)):
        raise ConfigError(f"{missing}; or choose another evaluate.video_format, or evaluate.videos=0")
    milliseconds = config.values.configurator.milliseconds
    if milliseconds is not None and config.values.evaluate.split == "evaluation":
        raise ConfigError(
            "evaluate.split=evaluation is for the record, and what a planner finds in "
            f"configurator.milliseconds={milliseconds} depends on the machine: set configurator.num_evaluations "
            "instead, or evaluate.split=validation"
        )
    if config.values.actor.learn_online:
        _validate_online(config)
    values = config.values.evaluate
    if values.diagnose and config.values.actor.mode == REACTIVE:
        raise ConfigError(
            f"evaluate.diagnose must be 0 with actor.mode=reactive, got {values.diagnose}: who does not plan has no "
            "planner, budget or model to exchange"
        )
    with refusals("evaluate."):
        Entries(values.split, values.first_entry, max(values.num_episodes, values.oracle))
        check_decidable(values.fail_under, num_episodes=values.num_episodes)


def check_decidable(threshold: float | None, *, num_episodes: int) -> None:
    """Checks that so many episodes can decide whether success is at least a threshold.

    Raises:
        ValueError: They cannot, even where all of them succeed.
    """
    needed = None if threshold is None else episodes_to_decide(threshold)
    if threshold is None or (needed is not None and num_episodes >= needed):
        return
    bound = best_bound(num_episodes)
    raise ValueError(
        f"fail_under={threshold:g} cannot be decided by num_episodes={num_episodes}: if all of them succeed, the lower "
        f"bound of success is {bound:.4f}; "
        + ("no number of episodes is enough" if needed is None else f"it takes at least {needed} episodes")
    )


def _validate_online(config: Config) -> None:
    """Checks what goes with an agent that learns from one evaluated episode to the next."""
    if config.values.evaluate.split == "evaluation":
        raise ConfigError(
            "evaluate.split=evaluation is for the record, and with actor.learn_online=true the agent learns from the "
            "very episodes that it is measured by: set evaluate.split=validation"
        )
    if config.values.evaluate.diagnose:
        raise ConfigError(
            "with actor.learn_online=true an episode cannot be run again as it was: set evaluate.diagnose=0, got "
            f"{config.values.evaluate.diagnose}"
        )
    if config.values.evaluate.num_workers > 1:
        raise ConfigError(
            "with actor.learn_online=true evaluated episodes follow each other in one process: set "
            f"evaluate.num_workers=1, got {config.values.evaluate.num_workers}"
        )
