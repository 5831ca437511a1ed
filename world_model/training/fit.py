"""Training of anything: steps of AdamW with checkpoints, a log, and an exact resume.

A training writes into its folder:

    last.safetensors            what was learned, after the newest checkpointed step
    step_00002000.safetensors   ... every so often
    training_state.safetensors  what is needed to go on: all modules, optimiser, step
    log.jsonl, tensorboard/     losses and monitors
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from world_model.training.checkpoint import Checkpoint, save_checkpoint
from world_model.training.fit_settings import FitSettings
from world_model.training.run_log import RunLog
from world_model.training.training_state import Progress, TrainingState

LAST = "last.safetensors"
STATE = "training_state.safetensors"

_LOOK_EVERY = 100
"""Steps after which it is looked whether the losses are finite: to look at each would keep a GPU waiting."""


class TrainingStopped(RuntimeError):  # noqa: N818 - it is the end that matters
    """A training that cannot succeed; the message is one sentence that says why."""


class Task(Protocol):
    """What is trained. Everything that it draws at a step is a function of that step, so that it can go on anywhere."""

    @property
    def module(self) -> nn.Module:
        """All that is optimised, or must be restored."""
        ...

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Returns scalars on a new batch; `loss` is minimised, the others are its parts."""
        ...

    def finish_step(self) -> None:
        """Follows a step of the optimiser."""
        ...

    def validate(self, step: int) -> Mapping[str, float]:
        """Returns monitors, `loss` among them."""
        ...

    def judge(self, step: int, monitors: Mapping[str, float]) -> None:
        """Raises `TrainingStopped` if the monitors of a step, which are in the log by then, are beyond hope."""
        ...

    def checkpoint(self, step: int) -> Checkpoint:
        """Returns what was learned."""
        ...


def fit(task: Task, *, settings: FitSettings, identity: Mapping[str, Any], output: Path, description: str) -> Path:
    """Trains, or goes on where an interrupted training stopped: to the same bytes as if it had not.

    Args:
        task: What is trained.
        settings: How long and how fast.
        identity: Plain JSON that says which training this is; a folder with another one's state is refused.
        output: Folder of all that is written.
        description: What the progress bar says.

    Returns:
        The path of the last checkpoint.

    Raises:
        TrainingStopped: The training diverged, or cannot succeed; what condemned it is in the log.
        CheckpointError: The folder holds another training, or a damaged one.
        OSError: Something cannot be written.
    """
    parameters = [parameter for parameter in task.module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    state = TrainingState(output / STATE, module=task.module, optimizer=optimizer, identity=identity)
    progress = state.restore()
    if progress.step >= settings.num_steps:
        if not (output / LAST).exists():
            save_checkpoint(output / LAST, task.checkpoint(progress.step))
        return output / LAST
    log = RunLog(output, step=progress.step, num_bytes=progress.log_bytes, wandb=settings.wandb)
    steps = tqdm(
        range(progress.step + 1, settings.num_steps + 1),
        desc=description,
        initial=progress.step,
        total=settings.num_steps,
        disable=None,
    )
    finite: list[Tensor] = []
    intervals = {
        "log": settings.log_every,
        "validation": settings.validation_every,
        "checkpoint": settings.checkpoint_every,
    }
    with threads(settings.num_threads), closing(log):
        for step in steps:
            is_last = step == settings.num_steps
            due = {purpose: is_last or step % every == 0 for purpose, every in intervals.items()}
            losses, gradient_norm = train_step(task, optimizer, parameters, settings, step)
            finite.append((losses["loss"].detach() + gradient_norm).isfinite())
            if any(due.values()) or len(finite) == _LOOK_EVERY:
                _stop_if_diverged(finite, step, settings)
                finite.clear()
            if due["log"]:
                log.write(step, {f"train/{name}": value.item() for name, value in losses.items()})
            if due["validation"]:
                monitors = task.validate(step)
                log.write(step, {f"validation/{name}": value for name, value in monitors.items()})
                steps.set_postfix(validation_loss=f"{monitors['loss']:.4g}")
                if not math.isfinite(monitors["loss"]):
                    raise _diverged(step, f"its validation loss is {monitors['loss']}", settings)
                task.judge(step, monitors)
            if due["checkpoint"]:
                _check_weights(task.module, step, settings)
                if step % settings.keep_every == 0:
                    save_checkpoint(output / f"step_{step:08d}.safetensors", task.checkpoint(step))
                save_checkpoint(output / LAST, task.checkpoint(step))
                state.save(Progress(step=step, log_bytes=log.flush()))
    return output / LAST


def train_step(
    task: Task, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], settings: FitSettings, step: int
) -> tuple[Mapping[str, Tensor], Tensor]:
    """Does one step of the optimiser, and returns the losses that it followed and the length of their gradient."""
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate_at(step)
    losses = task.losses(step)
    optimizer.zero_grad()
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    gradient_norm = nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
    optimizer.step()
    task.finish_step()
    return losses, gradient_norm


def _stop_if_diverged(finite: Sequence[Tensor], step: int, settings: FitSettings) -> None:
    """Raises `TrainingStopped` if loss or gradient was not finite in one of the steps up to this one."""
    flags = torch.stack(list(finite)).tolist()
    if False in flags:
        raise _diverged(step + 1 - len(flags) + flags.index(False), "its loss or the gradient is not finite", settings)


def _check_weights(module: nn.Module, step: int, settings: FitSettings) -> None:
    """Raises `TrainingStopped` before a weight that is not finite is saved."""
    for name, tensor in module.state_dict().items():
        if not bool(tensor.isfinite().all()):
            raise _diverged(step, f"the weights '{name}' are not finite", settings)


def _diverged(step: int, what: str, settings: FitSettings) -> TrainingStopped:
    remedy = f"a smaller {settings.section}.learning_rate may help"
    return TrainingStopped(f"the training diverged at step {step}: {what}; {remedy}")


@contextmanager
def threads(num_threads: int) -> Iterator[None]:
    """Lets torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
