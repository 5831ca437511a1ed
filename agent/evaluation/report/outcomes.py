"""How episodes ended, and films of each way in which they did."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.outcomes import OUTCOMES, SUCCESS, outcome
from agent.evaluation.report.bars import bars
from agent.evaluation.report.document import Film, Section
from agent.evaluation.report.drawing import BLUE, VERMILLION
from agent.evaluation.report.media import embed
from agent.evaluation.results import told

MAX_FILM_BYTES = 2_500_000
"""Of all films of a report and their pictures together, as files; in the page they take a third more."""


def outcome_section(episodes: Sequence[EvaluatedEpisode], films: Mapping[int, Path]) -> Section:
    """Returns how the actor's episodes ended, and the films sorted by it.

    Args:
        episodes: Of the actor.
        films: Seed of an episode to its film; the picture of what was chosen in it lies beside it, if there is one.
    """
    sorted_by = {kind: [it for it in judged(episodes) if outcome(it) == kind] for kind in OUTCOMES}
    ended = {kind: run for kind, run in sorted_by.items() if run}
    if not ended:
        return Section(title="Outcomes", text="No episode tells anything: each was solved before anything was done.")
    embedded = _films(ended, films)
    counts = {kind: float(len(run)) for kind, run in ended.items()}
    parts = tuple(_part(kind, run, embedded.get(kind, ())) for kind, run in ended.items())
    return Section(
        title="Outcomes",
        text="" if any(embedded.values()) else "There are no films of this evaluation.",
        figures=(
            bars(
                "How the agent's episodes ended",
                counts,
                [BLUE if kind == SUCCESS else VERMILLION for kind in counts],
                label="episodes",
            ),
        ),
        parts=parts,
    )


def _part(kind: str, episodes: Sequence[EvaluatedEpisode], films: tuple[Film, ...]) -> Section:
    number = f"{len(episodes)} episode{'s' * (len(episodes) != 1)}"
    meaning = OUTCOMES[kind]
    return Section(
        title=f"{kind.replace('_', ' ').capitalize()}: {number}",
        text=f"{meaning[:1].upper()}{meaning[1:]}.",
        films=films,
    )


def _films(ended: Mapping[str, Sequence[EvaluatedEpisode]], paths: Mapping[int, Path]) -> dict[str, tuple[Film, ...]]:
    """Returns the films of each outcome, the first of each before the second of any, as long as there is room."""
    waiting = {kind: [it for it in run if it.record.seed in paths] for kind, run in ended.items()}
    films: dict[str, tuple[Film, ...]] = {}
    room = MAX_FILM_BYTES
    for place in range(max(map(len, waiting.values()))):
        for kind, run in waiting.items():
            if place < len(run):
                path = paths[run[place].record.seed]
                room -= sum(it.stat().st_size for it in (path, path.with_suffix(".png")) if it.is_file())
                films[kind] = (*films.get(kind, ()), _film(run[place], path, fits=room >= 0))
    return films


def _film(episode: EvaluatedEpisode, path: Path, *, fits: bool) -> Film:
    record, seed = episode.record, episode.record.seed
    left = ", ".join(
        f"{name.replace('_', ' ')} {told([record.final_distances[name]], unit)}" for name, unit in episode.units.items()
    )
    ending = OUTCOMES[outcome(episode)]
    title, caption = f"Seed {seed}:", f"{ending}; left to the goal at the end: {left}"
    if not fits:
        return Film(
            title, f"{caption}. The film would make this page too large: it lies in {path.parent.name}/{path.name}", ()
        )
    pictures = [embed(path, f"Film of the episode with seed {seed}: {ending}")]
    timeline = path.with_suffix(".png")
    if timeline.is_file():
        pictures.append(
            embed(timeline, f"What the agent with seed {seed} chose by time: mode, surprise, way left, budget and goal")
        )
    return Film(title, caption, tuple(pictures))
