"""Plays an episode and writes it as an animated GIF, a PNG of its end, or a folder of PNGs."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ascore.envs.factory import batch, is_external
from ascore.envs.table import ENVIRONMENTS, canonical_name
from ascore.envs.vec_env import LARGEST_SEED, VecEnv
from ascore.errors import RunError
from ascore.render.canvas import to_palette
from ascore.render.frames import Moment, moment, picture
from ascore.runs.files import as_path, require_writable, unwritable, write_atomic
from ascore.runs.folder import no_run, runs_below
from ascore.runs.policy import load_policy
from ascore.scripted import scripts
from ascore.streams import FIRST_EVALUATION_ENV

Act: TypeAlias = Callable[[npt.NDArray[Any]], npt.NDArray[np.int32]]
Report: TypeAlias = Callable[[int, int], None]

# All frames of a GIF are in memory at once, each of at least half a megabyte.
LONGEST_GIF = 1_000

# A GIF counts time in hundredths of a second, and viewers slow down frames shorter than two.
SLOWEST, FASTEST = 0.1, 50.0
LAST_FRAME_SECONDS = 2.0

AFTERWARDS = 6  # steps shown once nothing is left to do

SUPPORTED = ".gif (the episode), .png (its end) or no suffix (a folder with one PNG per step)"


@dataclass(frozen=True)
class Replay:
    """The result of `replay`.

    Attributes:
        path: the picture or folder.
        frames: number of pictures written.
        steps: number of steps played.
        team_return: sum of the rewards over agents and steps.
        shortened: whether it ends before the episode does, since nothing was left to do.
    """

    path: Path
    frames: int
    steps: int
    team_return: float
    shortened: bool = False


def moments(
    env: VecEnv,
    act: Act,
    *,
    index: int = 0,
    steps: int | None = None,
    episode: int | None = None,
    note: str = "",
    to_the_end: bool = True,
) -> Iterator[Moment]:
    """Plays the next episode of a batch and yields the moments of environment `index`.

    Args:
        env: a batch of environments; it is reset first.
        act: obs [B, V, O] -> actions i32 [B, N].
        index: index of the environment in the batch.
        steps: maximum number of steps; None = to the end of the episode.
        episode: episode number to show; None = that of the environment.
        note: short description of the policy.
        to_the_end: whether to go on when nothing is left to do but to wait for the end.

    Yields:
        The start, then one moment per step. The last one is the end of the episode, not the new
        start to which `step` resets the environment.
    """
    obs, _ = env.reset()
    now = moment(env, index)
    number = now.episode if episode is None else episode
    now = replace(now, episode=number, returns=np.zeros(env.spec.num_agents), note=note)
    yield now
    returns = np.zeros(env.spec.num_agents)
    over = None if to_the_end else ENVIRONMENTS[env.spec.name].over
    waited = 0
    for time in range(1, (env.spec.horizon if steps is None else steps) + 1):
        action = act(obs)
        state = env.inspect(index, action)
        obs, reward, terminated, truncated, _ = env.step(action)
        returns = returns + reward[index]
        yield replace(
            now,
            state=state,
            time=time,
            action=action[index].copy(),
            reward=reward[index].copy(),
            returns=returns,
        )
        waited += over is not None and over(state)
        if terminated[index] or truncated[index] or waited > AFTERWARDS:
            return


def replay(
    target: str | Path,
    out: str | Path,
    *,
    policy: str | None = None,
    episode: int = 0,
    seed: int | None = None,
    greedy: bool = False,
    checkpoint: str | None = None,
    steps: int | None = None,
    fps: float = 6.0,
    env_params: dict[str, Any] | None = None,
    report: Report | None = None,
) -> Replay:
    """Plays one evaluation episode of a run, or of a scripted policy, and writes pictures.

    Episode k of a run is the k-th that `evaluate` plays with the same seed.

    Args:
        target: run folder, or name of an environment.
        out: a .gif or .png file, or a folder to create.
        policy: "trained" or the label of a scripted one ("random", "selfish", "cooperative", ...);
            None = trained for a run, random for an environment.
        episode: number of the evaluation episode, from 0.
        seed: seed of the environment; None = the training seed, or 0.
        greedy: take the most probable action instead of sampling.
        checkpoint: name of a checkpoint; None = the newest.
        steps: maximum number of steps; None = the whole episode, or until nothing is left to do (in
            Exchange, when all food is eaten).
        fps: steps per second of a GIF.
        env_params: parameters of an environment given by name; a run has its own.
        report: called with the number of frames drawn and their maximum, as the episode may end
            early.

    Raises:
        ValueError: an option is out of range, or `target` is neither a run nor an environment.
        CheckpointError: the run holds no complete checkpoint.
        RunError: `out` cannot be written; no partial output remains.
    """
    out = as_path(out)
    _require_writable(out)
    if not SLOWEST <= fps <= FASTEST:
        message = f"fps = {fps:g} is outside {SLOWEST:g}..{FASTEST:g}"
        raise ValueError(message)
    last = LARGEST_SEED - FIRST_EVALUATION_ENV
    if not 0 <= episode <= last:
        message = f"episode = {episode} is not allowed; it must be in 0..{last}"
        raise ValueError(message)
    env, act, note = _cast(target, policy, seed, episode, greedy, checkpoint, env_params or {})
    most = env.spec.horizon if steps is None else min(steps, env.spec.horizon)
    if most < 1:
        message = f"steps = {most} is not allowed; it must be at least 1"
        raise ValueError(message)
    if most > LONGEST_GIF and _ending(out) == ".gif":
        message = (
            f"a GIF of {most} steps is too long; ask for at most {LONGEST_GIF} with --steps, "
            "or for a folder of PNGs"
        )
        raise ValueError(message)
    played = moments(env, act, steps=most, episode=episode, note=note, to_the_end=steps is not None)
    result = save(played, out, fps=fps, total=most + 1, report=report)
    ended = bool(env.terminated[0] or env.truncated[0])
    return replace(result, shortened=steps is None and not ended)


def save(
    played: Iterator[Moment],
    out: str | Path,
    *,
    fps: float = 6.0,
    total: int = 0,
    report: Report | None = None,
) -> Replay:
    """Draws moments and writes them: .gif all of them, .png the last one, else a folder of PNGs.

    Args:
        played: at least one moment.
        out: file or folder to write.
        fps: moments per second of a GIF; the last one is shown for two seconds.
        total: maximum number of moments, for the report.
        report: called with the number of moments drawn and their maximum.

    Raises:
        ValueError: `out` has another suffix.
        RunError: `out` cannot be written; no partial output remains.
    """
    out = as_path(out)
    _require_writable(out)
    last: list[Moment] = []
    count = 0

    def counted() -> Iterator[Moment]:
        nonlocal count
        for now in played:
            yield now
            last[:] = [now]
            count += 1
            if report is not None:
                report(count, max(total, count))

    if _ending(out) == ".gif":
        write_atomic(out, _gif([to_palette(picture(now)) for now in counted()], fps))
        frames = count
    elif _ending(out) == ".png":
        for _ in counted():
            pass
        write_atomic(out, _png(picture(last[0])))
        frames = 1
    else:
        _write_folder(out, (picture(now) for now in counted()))
        frames = count
    returns = last[0].returns
    return Replay(out, frames, count - 1, float("nan") if returns is None else float(returns.sum()))


# ---------------------------------------------------------------------- who plays


def _cast(
    target: str | Path,
    policy: str | None,
    seed: int | None,
    episode: int,
    greedy: bool,
    checkpoint: str | None,
    env_params: dict[str, Any],
) -> tuple[VecEnv, Act, str]:
    """Creates the environment and the policy; gives (environment, act, description)."""
    first_env = FIRST_EVALUATION_ENV + episode
    folder = as_path(target)
    if (folder / "config.toml").exists():
        if env_params:
            message = f"{target} is a run and has its own parameters; leave out {[*env_params]}"
            raise ValueError(message)
        trained = load_policy(target, checkpoint)
        seed = trained.config["seed"] if seed is None else seed
        if is_external(trained.env):
            message = (
                f"{target} was trained on {trained.env}, a Python environment, which has no scene "
                "here; draw it with its own render()"
            )
            raise ValueError(message)
        env = batch(trained.env, trained.env_params, seed=seed, first_env=first_env)
        trained.require(env.spec)
        if policy in (None, "trained"):
            uniform = np.empty((1, env.spec.num_agents), dtype=np.float32)

            def act(obs: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
                env.uniforms(uniform)
                return trained.act(obs, None if greedy else uniform)

            name = str(trained.config["algorithm"]).upper()
            return env, act, f"{name}, most probable actions" if greedy else name
    else:
        try:
            name = canonical_name(str(target))
        except ValueError as error:
            if runs_below(folder):
                raise RunError(no_run(folder)) from error
            message = (
                f"{target} is neither a folder written by `ascore train` nor an environment; "
                f"choose from: {', '.join(ENVIRONMENTS)}"
            )
            raise ValueError(message) from error
        if policy == "trained" or greedy or checkpoint is not None:
            message = f"{target} is an environment and has no trained policy; give a run folder"
            raise ValueError(message)
        env = batch(name, env_params, seed=0 if seed is None else seed, first_env=first_env)
    policies = scripts(env.spec.name)
    label = policy or "random"
    if label not in policies:
        message = f"no policy {label!r} for {env.spec.name}; choose from: {', '.join(policies)}"
        raise ValueError(message)
    script = policies[label]
    return env, lambda _: script(env), f"{label} play"


# ---------------------------------------------------------------------- files


def _ending(out: Path) -> str:
    return out.suffix.lower()


def _require_writable(out: Path) -> None:
    """Checks the output path before anything is played or drawn."""
    if _ending(out) not in ("", ".gif", ".png"):
        message = f"out = {out} ends in {out.suffix}; use {SUPPORTED}"
        raise ValueError(message)
    if not out.parent.is_dir():
        message = f"cannot write {out}: there is no folder {out.parent}; create it first"
        raise RunError(message)
    if _ending(out) == "" and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        message = f"cannot write {out}: it exists and is not an empty folder; choose another --out"
        raise RunError(message)
    require_writable(out, folder=not _ending(out))


def _png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def _gif(frames: list[Image.Image], fps: float) -> bytes:
    """Encodes all frames with one palette; each frame holds only what changed since the last."""
    step = round(100 / fps) * 10
    durations = [step] * (len(frames) - 1) + [max(step, round(LAST_FRAME_SECONDS * 1000))]
    data = io.BytesIO()
    frames[0].save(
        data,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        optimize=True,  # makes unchanged pixels transparent: a third of the size
        disposal=1,
    )
    return data.getvalue()


def _write_folder(out: Path, pictures: Iterator[Image.Image]) -> None:
    """Writes one PNG per picture, then moves the complete folder into place."""
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        for number, image in enumerate(pictures):
            (part / f"{number:05d}.png").write_bytes(_png(to_palette(image)))
        os.replace(part, out)
    except OSError as error:
        raise unwritable(out, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
