"""From a run folder to an agent, without an environment and without executing anything that was saved."""

from functools import partial
from pathlib import Path
from typing import Any

from agent.actor import Actor
from agent.evaluation.scenarios.types import Scenario
from agent.host import own_settings
from agent.latency import Timing
from agent.learning.critic import CriticLearning
from agent.learning.experience import Experience, Split, embed_episodes
from agent.learning.online import OnlineActor, OnlineLearner
from agent.run.config.building import build
from agent.run.config.composing import Changes, Config, ConfigError, compose_config
from agent.run.config.composing import folder as typed_folder
from agent.run.config.randomness import rng
from agent.run.config.refusals import refusals
from agent.run.config.saved import read_config
from agent.run.stages.modules import MODEL_GROUPS, Modules, build_modules
from envs.episodes.episode import EpisodeDataset, open_dataset
from envs.spec import TaskSpec
from jepa_mpc.files import check_working_folder
from planners.types import Planner
from world_model.training.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from world_model.training.tensor_file import one_line
from world_model.types import WorldModel

CHECKPOINT = "agent.safetensors"
"""Where in a run folder all that was learned lies, in one file."""

EMBEDDINGS_FILE = "embeddings.safetensors"
"""Where in a run folder the embeddings of recorded camera frames lie."""

_TOO_LARGE = ("allocate memory", "verflow")
"""What torch says of sizes that no memory holds."""

DATA_FOLDER = "data"
"""Where in a run folder the recorded episodes lie."""


def load_agent(run_folder: Path | str, overrides: Changes = ()) -> Actor:
    """Returns the agent of a finished run.

    Args:
        run_folder: The folder of a finished run or training.
        overrides: Changes to its config: as on the command line, `["planner.num_samples=512"]`, or a mapping,
            `{"planner": {"num_samples": 512}}`.

    Raises:
        CheckpointError, ConfigError, DatasetError: The folder holds no such run, or a damaged one.
    """
    check_working_folder()
    folder = typed_folder(str(run_folder), str(run_folder))
    return load_actor(compose_config(overrides, base=read_config(folder)), folder)


def load_actor(config: Config, run_folder: Path) -> Actor:
    """Returns the agent that a config makes of what a finished run has learned; see `load_agent`."""
    with own_settings():
        modules = load_modules(config, checkpoint_path(run_folder))
        return build_actor(config, modules, recorded=recorded_experience(config, modules, run_folder))


def checkpoint_path(run_folder: Path) -> Path:
    """Returns where a finished run keeps what it learned.

    Raises:
        CheckpointError: It is not there yet.
    """
    path = run_folder / CHECKPOINT
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {path}: an interrupted training goes on with the command that began it"
        )
    return path


def load_modules(config: Config, path: Path) -> Modules:
    """Returns what a config asks for, as a checkpoint holds it.

    Raises:
        CheckpointError, ConfigError: There is none, or a damaged one, or one that asks for what is not shipped.
    """
    checkpoint = load_checkpoint(path)
    configs = checkpoint.metadata.configs
    if set(configs) != set(MODEL_GROUPS):
        raise CheckpointError(f"{path} must describe {sorted(MODEL_GROUPS)}, got {sorted(configs)}")
    try:
        modules = build_modules(config, configs, read_spec(checkpoint, path))
    except (TypeError, RuntimeError) as error:
        if not any(said in str(error) for said in _TOO_LARGE):
            raise
        raise CheckpointError(f"{path} describes no world model: {one_line(error)}") from None
    if modules.world_model.action_repeat != checkpoint.metadata.action_repeat:
        raise CheckpointError(
            f"{path} says action_repeat={checkpoint.metadata.action_repeat}, "
            f"its world model has {modules.world_model.action_repeat}"
        )
    modules.restore(checkpoint)
    return modules


def read_spec(checkpoint: Checkpoint, path: Path) -> TaskSpec:
    """Returns the task that a checkpoint was trained on.

    Raises:
        CheckpointError: It describes none.
    """
    try:
        return TaskSpec.from_json(checkpoint.metadata.env)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes no environment: {error!r}") from None


def check_learned_from(dataset: EpisodeDataset, path: Path) -> None:
    """Raises `CheckpointError` unless a checkpoint was learned from this very dataset."""
    learned_from = load_checkpoint(path).metadata.data_fingerprint
    if learned_from != dataset.fingerprint:
        raise CheckpointError(
            f"{path} was learned from other episodes ({learned_from[:12]}) than those in {dataset.folder} "
            f"({dataset.fingerprint[:12]}): choose another output folder, or delete that checkpoint"
        )


def draw_split(config: Config, dataset: EpisodeDataset) -> Split:
    """Returns which episodes all that stands on the world model is learned from, and which it is validated on."""
    fraction = build(config.values.learning).validation_fraction
    return Split.draw(dataset.num_episodes, validation_fraction=fraction, rng=rng(config, "split"))


def embeddings_file(dataset: EpisodeDataset, run_folder: Path) -> Path | None:
    """Returns where embeddings are kept; numbers are embedded in no time, and are not."""
    spec = dataset.manifest.env
    return run_folder / EMBEDDINGS_FILE if any(spec.sensors[name].is_image for name in spec.perceived) else None


def recorded_experience(config: Config, modules: Modules, run_folder: Path) -> Experience | None:
    """Returns what a run's critics have learned from, where they go on learning and it is still at hand.

    Episodes that they were validated on are left out. Embeddings that the run has kept are not made again.

    Raises:
        CheckpointError: Where it should lie there is something else.
        DatasetError: It is damaged.
    """
    if not config.values.actor.learn_online:
        return None
    folders = [run_folder / DATA_FOLDER, *map(Path, filter(None, [config.values.train.data]))]
    for folder in filter(Path.is_dir, folders):
        dataset = open_dataset(folder)
        check_learned_from(dataset, checkpoint_path(run_folder))
        cache = embeddings_file(dataset, run_folder)
        experience = embed_episodes(modules.world_model, dataset, cache=cache, keep=False)  # the run is finished
        return experience.of(draw_split(config, dataset).learned)
    return None


def build_actor(
    config: Config,
    modules: Modules,
    *,
    world_model: WorldModel | None = None,
    recorded: Experience | None = None,
) -> Actor:
    """Returns the agent that acts with what was learned, as its config says; it may go on learning.

    Args:
        config: Of the agent.
        modules: What was learned.
        world_model: Perceives and imagines in place of the learned one; None for that.
        recorded: What its critics do not forget while they go on learning; None where it is not at hand.
    """
    values = config.values
    cost = build_terms(config, modules)
    configurator = build(values.configurator, **cost)
    most = max(it.futures.num_futures for it in configurator.configurations)
    if most > 1 and modules.world_model.latent_dim == 0:
        raise ConfigError(
            f"several futures need a world model with a latent variable, and this one foresees a single one: train it "
            f"with latent=discrete or latent=gaussian, or plan with configurator.futures.num_futures=1 and "
            f"configurator.futures.count=mean, got {most} futures"
        )
    latency = configured_latency(config, modules.spec)
    planner, guardrails = build_planner(config), build(values.guardrails, spec=modules.spec, latency=latency)
    world_model = modules.world_model if world_model is None else world_model
    repeat = modules.world_model.action_repeat
    judge = steps_critic(config)
    learns = values.actor.learn_online
    with refusals():
        make = partial(OnlineActor, learner=_build_learner(config, modules, recorded)) if learns else Actor
        return make(
            world_model=world_model,
            planner=planner,
            configurator=configurator,
            guardrails=guardrails,
            policy=modules.policy,
            critic=None if judge is None else modules.critics[judge],
            spec=modules.spec,
            action_repeat=repeat,
            latency=latency,
            memory_capacity=Timing(action_repeat=repeat, latency=latency).model_step(modules.spec.num_steps) + 1,
        )


def configured_latency(config: Config, spec: TaskSpec) -> int:
    """Returns how late an agent takes its world to be, control steps: what it is told, or else what the scenario is."""
    told: int | None = config.values.actor.latency
    if told is not None:
        return told
    with refusals("scenario."):
        scenario: Scenario = build(config.values.scenario)(spec)
    return scenario.latency


def _build_learner(config: Config, modules: Modules, recorded: Experience | None) -> OnlineLearner:
    """Returns what lets the critics go on learning."""
    values = config.values
    return OnlineLearner(
        critics=modules.critics,
        learning={name: critic_learning(config, name) for name in values.critic},
        recorded=recorded,
        goal_parts=modules.world_model.goal_parts,
        action_dim=modules.spec.action_dim,
        task_sensors=list(modules.spec.asked),
        hindsight=build(values.learning.hindsight),
        settings=build(values.online),
        seed=values.seed,
    )


def build_planner(config: Config) -> Planner[Any]:
    """Returns the planner that a config asks for; where cost terms have limits, one that keeps them."""
    values = config.values
    planner: Planner[Any] = build(values.planner)
    if any(cost.limit is not None for cost in [*values.cost.values(), *values.critic.values()]):
        planner = build(values.constraints, planner=planner)
    return planner


def build_terms(config: Config, modules: Modules) -> dict[str, Any]:
    """Returns the cost terms that a config asks for, with their weights and limits: the arguments of a `CostModule`."""
    values = config.values
    costs = {name: values.cost[name] for name in modules.terms} | dict(values.critic)
    critic_terms = {name: build(critic.term, critic=modules.critics[name]) for name, critic in values.critic.items()}
    return {
        "terms": {**modules.terms, **critic_terms},
        "weights": {name: cost.weight for name, cost in costs.items()},
        "limits": {name: cost.limit for name, cost in costs.items() if cost.limit is not None},
    }


def critic_learning(config: Config, name: str) -> CriticLearning:
    """Returns what a critic is asked to predict.

    Raises:
        ConfigError: A value does not fit; the sentence names its key.
    """
    try:
        learning: CriticLearning = build(config.values.critic[name].learning)
    except ConfigError as error:
        raise ConfigError(f"critic.{name}.{error}") from None
    return learning


def steps_critic(config: Config) -> str | None:
    """Returns the name of the first critic that predicts the cost-to-go, if there is one."""
    names = [name for name in config.values.critic if critic_learning(config, name).cost_to_go is not None]
    return names[0] if names else None
