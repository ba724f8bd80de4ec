"""The training loop of all algorithms: collect, update, log, save."""

from __future__ import annotations

import functools
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
import numpy.typing as npt
import torch

from ascore.algorithms.table import get_algorithm, unheard, unread
from ascore.config import Config
from ascore.envs.factory import batch, is_external
from ascore.envs.vec_env import Spec, VecEnv
from ascore.errors import AscoreWarning, CheckpointError, EnvError, NonFiniteError
from ascore.learning.backends.choose import choose_split, own_envs
from ascore.learning.learner import Learner
from ascore.learning.memory import require_memory
from ascore.learning.modes import own_modes
from ascore.learning.own_rows import OwnRows
from ascore.learning.seats import asks_environment
from ascore.learning.stepping import collector_of
from ascore.runs import changes, checkpoint, opening
from ascore.runs.course import FINAL_SHARE
from ascore.runs.files import json_text, write_atomic
from ascore.runs.folder import CONFIG, as_given, named
from ascore.runs.logs import Log, MetricsLog
from ascore.runs.record import Report as Report
from ascore.runs.run import Run as Run
from ascore.runs.showing import showing
from ascore.runs.trust import ours, require_trust
from ascore.runtime.processors import usable_processors
from ascore.runtime.ranks import Ranks

Watch = Callable[[int, int], None]
"""(steps taken, steps of the update) -> None."""

U8 = npt.NDArray[np.uint8]

ROUND_ALIKE = (
    "their processors round differently; set ASCORE_SIMD and ATEN_CPU_CAPABILITY to avx2 and "
    "MKL_CBWR to COMPATIBLE for all"
)

# Episodes that end this many times sooner than they might are worth a word on how they are counted.
SHORT = 4

P = ParamSpec("P")


def _entry(function: Callable[P, Run]) -> Callable[P, Run]:
    """Trains in PyTorch's usual modes; accepts `ranks` under its old name, `world`, too."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Run:
        if "world" in kwargs:
            warnings.warn("world is now called ranks; pass ranks=", FutureWarning, stacklevel=2)
            kwargs["ranks"] = kwargs.pop("world")
        with own_modes():
            return function(*args, **kwargs)

    return call


@_entry
def train(
    config: Config,
    out: str | Path | None = None,
    *,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
    ranks: Ranks | None = None,
    restarted: bool = False,
    watch: Watch | None = None,
    progress: bool = False,
) -> Run:
    """Trains from scratch; sets the number of PyTorch threads of this process.

    Args:
        config: configuration of the run.
        out: a new folder; None = `runs/<env>-<algorithm>-s<seed>`, numbered if that exists.
        report: called after every update, on rank 0, with what METRICS of `ascore` lists.
        stop: called after every update; True on any rank saves a checkpoint and returns early.
        ranks: the ranks that share the environments, from `ascore.runtime.ranks.joined`; None =
            this process alone. All ranks must pass the same arguments.
        restarted: whether an earlier attempt at the same run may have left a folder, on any rank;
            if so, training continues from its newest checkpoint.
        watch: called after every step of Python environments, on rank 0.
        progress: show a bar, in notebooks too, or lines where standard error is no terminal.

    Returns:
        The run; `ascore.resume(run.path)` continues it if it was stopped.

    Raises:
        RunError: the folder holds a run already, cannot be written, or the disk is full.
        NonFiniteError: training diverged; the last good checkpoint is kept.
        RankError: another rank was lost.
    """
    ranks = ranks or Ranks()
    here = Path.cwd()  # an environment may change it
    restarted = ranks.any(restarted)
    opening.tell(unheard(config), ranks)
    with ExitStack() as held:
        session = held.enter_context(_Session(config, ranks))
        config = session.config = session.config.replace(action_bins=session.bins)  # 0 if idle
        opening.tell(unread(config, [config.algorithm], ranks=ranks.size), ranks)
        start = ranks.from_lead(lambda: opening.begin(config, out, restarted, here, held))
        path, name = json.loads(start)
        folder = Path(path)
        saved = checkpoint.load(folder, name) if name else None
        session.collector.watch = watch if ranks.lead else None
        positions = session.start(saved)
        saved = None  # a copy of all parameters and moments
        if ranks.lead:
            opening.usable_logs(folder, positions, session.every)
            opening.clear(folder, session.done)
        shown = progress and ranks.lead
        report = held.enter_context(showing(config.algorithm, report, progress=shown))
        session.run(folder, positions, report, stop)
    return Run(as_given(folder, out, here), config)


@_entry
def resume(
    path: str | Path,
    *,
    episodes: int | None = None,
    checkpoint_name: str | None = None,
    set: Mapping[str, Any] | None = None,
    new_log: bool = False,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
    ranks: Ranks | None = None,
    trust: bool = False,
    watch: Watch | None = None,
    progress: bool = False,
) -> Run:
    """Continues a run from a checkpoint, bit for bit as if it had never stopped.

    A run that was killed before its first checkpoint begins again, from its config.toml.
    Checkpoints later than the one continued from are set aside, in `abandoned-after-...`.

    Args:
        path: run folder.
        episodes: new training length; None = as configured.
        checkpoint_name: name of the checkpoint; None = the newest.
        set: keys of the configuration to change and their values, such as `{"device": "cpu"}`;
            which may change is in `ascore.runs.changes.CHANGEABLE`. They are written into
            config.toml.
        new_log: begin new metrics files where those of the run are missing or damaged, which is an
            error otherwise; what is there is set aside.
        report: as in `train`.
        stop: as in `train`.
        ranks: as in `train`; their number may differ from before. Sums are then taken in another
            order, so the result equals that of an uninterrupted run up to rounding.
        trust: whether an environment MODULE:CALLABLE and an algorithm MODULE:NAME that the
            checkpoint names may be imported; what this process has trained itself always may.
        watch: as in `train`.
        progress: as in `train`.

    Raises:
        TrustError: something would have to be imported, and `trust` is False.
        CheckpointError: the checkpoint is missing or damaged, or a log has not what it had then.
        ConfigError: `set` names a key that must not change, config.toml was edited, or `episodes`
            ends before what is done.
        RunError: another process writes the run, or the folder cannot be written.
        RankError: another rank was lost.
    """
    ranks = ranks or Ranks()
    here = Path.cwd()
    folder = here / named(path)
    with ExitStack() as held:
        # Rank 0 chooses, because ranks may see different states of a shared disk.
        name = ranks.from_lead(lambda: opening.choose(folder, checkpoint_name, held))
        saved = checkpoint.load(folder, name) if name else None
        before = Config.from_dict(saved.config, str(saved.path)) if saved is not None else None
        wanted = dict(set or {}) | ({} if episodes is None else {"episodes": episodes})
        plan = ranks.from_lead(lambda: opening.plan(folder, before, wanted))
        values, listed = json.loads(plan)
        config = Config.from_dict(values)
        origin = saved.path / checkpoint.MANIFEST if saved is not None else folder / CONFIG
        require_trust({"env": config.env, "algorithm": config.algorithm}, origin, trust)
        opening.tell_idle(wanted, config, ranks)
        session = held.enter_context(_Session(config, ranks))
        session.collector.watch = watch if ranks.lead else None
        positions = session.start(saved)
        saved = None  # a copy of all parameters and moments
        if "episodes" in wanted:
            named_so = as_given(folder, path, here)
            opening.require_reach(named_so, config.episodes, session.total, session.done)
        if ranks.lead:
            positions = opening.usable_logs(folder, positions, session.every, new_log)
            opening.clear(folder, session.done)
            changes.write(folder, config, listed)
        shown = progress and ranks.lead
        report = held.enter_context(showing(folder.name, report, progress=shown))
        session.run(folder, positions, report, stop)
    return Run(as_given(folder, path, here), config)


class _Session:
    """Environments, learner and counters of one rank during training; closes the environments."""

    def __init__(self, config: Config, ranks: Ranks) -> None:
        with ExitStack() as opened:
            self._open(config, ranks, opened)
            self._opened = opened.pop_all()

    def _open(self, config: Config, ranks: Ranks, opened: ExitStack) -> None:
        torch.set_num_threads(config.torch_threads)
        self.config, self.ranks = config, ranks
        ranks.require_same("configuration", config.dump().encode(), "start all by one command")
        split = spec = None
        if not is_external(config.env):
            one, algorithm = self._batch(0, 1, 1).spec, get_algorithm(config.algorithm)
            spec = algorithm.view.spec(one, config)
            split = choose_split(algorithm, config, spec, ranks)
        first, share = own_envs(split, config.num_envs, ranks)
        if spec is not None:  # before so many environments take memory themselves
            require_memory(spec, config, algorithm, share, split)
        outside = self._batch(first, share, config.num_threads)
        opened.callback(outside.close)
        if outside.learned_horizon:
            horizon = outside.learned_horizon
            ranks.require_same("horizon", str(horizon).encode(), "set it: --horizon N")
            self.config = config = config.replace(horizon=horizon)
        limit = max(1, usable_processors() // ranks.neighbours)
        if config.num_threads == 0 and outside.num_threads > limit:
            outside = self._batch(first, share, limit)
            opened.callback(outside.close)
        self.bins = outside.action_bins
        self.learner = Learner(config, outside.spec, ranks)
        if asks_environment(self.learner.algorithm, config):
            outside.keep_neighbours()
        self.env = self.learner.algorithm.view.env(outside)
        self.steps = config.rollout_steps or self.env.spec.horizon
        self.total = config.updates(self.env.spec.horizon)
        self.every = config.checkpoint_every or max(1, self.total // 20)
        self.collector = collector_of(self.learner, self.env, self.steps)
        self.alike = isinstance(self.learner.split, OwnRows)  # all ranks step all environments
        self.done, self.episodes, self.seconds = 0, 0, 0.0
        self.sent: dict[str, dict[str, list[int]]] = {}

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *reason: object) -> None:
        self._opened.close()

    def _batch(self, first: int, count: int, threads: int) -> VecEnv:
        config = self.config
        seed, horizon = config.seed, config.horizon
        workers = config.env_workers
        if workers < 0:  # the ranks of this machine share its processors
            workers = -self.ranks.neighbours
        return batch(
            config.env,
            config.env_params,
            count,
            seed,
            threads,
            first,
            horizon,
            env_workers=workers,
            env_timeout=config.env_timeout,
            action_bins=config.action_bins,
        )

    def start(self, saved: checkpoint.Checkpoint | None) -> dict[str, int] | None:
        """Begins a run, or goes back to a checkpoint.

        Returns:
            Sizes of the logs at the checkpoint.
        """
        if saved is not None:
            return self._restore(saved)
        self.env.reset()
        return None

    def run(
        self,
        folder: Path,
        positions: dict[str, int] | None,
        report: Report | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        """Trains on to the end, or until told to stop."""
        ours(folder)
        log = Log()
        if self.ranks.lead:
            log = MetricsLog(folder, tensorboard=self.config.tensorboard, positions=positions)
        before = self.seconds
        start = time.perf_counter()
        try:
            while not self._over():
                record = self._update(folder)
                self.seconds = before + time.perf_counter() - start
                record["seconds"] = self.seconds
                log.write(record)
                stopping = self.ranks.any(stop is not None and stop())
                if self.done % self.every == 0 or self._over() or stopping:
                    self._save(folder, log)
                if report is not None and self.ranks.lead:
                    report(self.done, self.total, record)
                if stopping:
                    break
        finally:
            log.close()
        if self._over() and self.ranks.lead:
            summary = self._summary(Run(folder, self.config))
            write_atomic(folder / "summary.json", json_text(summary, indent=1).encode())

    def _over(self) -> bool:
        """Whether all updates are done, or another would cost more privacy than there is."""
        return self.done >= self.total or self.learner.agents.exhausted(self.done)

    def _update(self, folder: Path) -> dict[str, Any]:
        rollout = self.collector.collect(self.learner.actor)
        try:
            self.learner.anneal(self.done / self.total)
            metrics = self.learner.update(rollout, self.done)
        except NonFiniteError as error:
            folders = checkpoint.folders(folder)
            last = (
                f"last good checkpoint: {folders[-1]}"
                if folders
                else "no checkpoint was written yet"
            )
            message = f"update {self.done}: {error} ({last})"
            raise NonFiniteError(message) from error
        self.done += 1
        ended = sum(len(r) for r in rollout.episode_returns)
        if not self.alike:
            ended = int(self.ranks.total(np.array([ended]))[0])
        if self.episodes == 0 and self.ranks.lead:
            self._mention_short_episodes(ended)
        self.episodes += ended
        self._count(metrics)
        return {
            "update": self.done,
            "episodes": self.episodes,
            "env_steps": self.done * self.steps * self.config.num_envs,
            **metrics,
        }

    def _mention_short_episodes(self, ended: int) -> None:
        """Says how `episodes` counts, where a run is much longer than it seems to ask for."""
        # Nothing had ended before: these episodes are all there was since the run began.
        steps = self.done * self.steps * self.config.num_envs
        horizon = self.env.spec.horizon
        if ended * horizon >= SHORT * steps:
            message = (
                f"episodes end after {steps / ended:.0f} of at most {horizon:,} steps; episodes = "
                f"{self.config.episodes:,} counts episodes of {horizon:,} steps, so about "
                f"{self.total * ended // self.done:,} will be played; set fewer, or a shorter "
                "horizon"
            )
            warnings.warn(message, AscoreWarning, stacklevel=2)

    def _count(self, metrics: dict[str, Any]) -> None:
        """Adds the floats and bytes sent in one update to the totals of the run."""
        for key, value in metrics.items():
            unit, _, kind = key.partition("_")
            if unit in ("floats", "bytes") and kind != "sent":
                total = self.sent.setdefault(kind, {}).setdefault(unit, [0] * len(value))
                total[:] = [a + b for a, b in zip(total, value, strict=True)]

    def _save(self, folder: Path, log: Log) -> None:
        ranks, actor = self.ranks, self.learner.actor
        arrays = {key: value.numpy() for key, value in self.learner.state().items()}
        state, returns = self.env.save_state(), self.collector.running_return
        same = {"env": state} if self.alike else arrays
        if ranks.size > 1:
            digest = hashlib.sha256()
            for value in same.values():
                digest.update(np.ascontiguousarray(value).data)
            what = "environments" if self.alike else "parameters"
            ranks.require_same(what, digest.digest(), ROUND_ALIKE)
        slices = [state] if self.alike else ranks.gather(state)
        # Of all environments: this rank has some of them, or some agents in all of them.
        running = ranks.gather(returns.T if self.alike else returns)
        if not ranks.lead:
            return
        arrays |= {slice_name(k): state for k, state in enumerate(slices)}
        whole = np.concatenate(running)
        arrays["running_return"] = whole.T.copy() if self.alike else whole
        extra = {
            "actor": {
                "sizes": list(actor.net.sizes),
                "layout": actor.layout,
                "heads": actor.heads,
                "agents": self.env.spec.num_agents,
            },
            "logs": log.positions(),
            "episodes": self.episodes,
            "seconds": self.seconds,
            "sent": self.sent,
        }
        spec = spec_dict(self.learner.outside)
        keep = self.config.keep_checkpoints
        checkpoint.save(folder, self.done, self.config.to_dict(), spec, extra, arrays, keep)

    def _restore(self, saved: checkpoint.Checkpoint) -> dict[str, int]:
        spec = spec_dict(self.learner.outside)
        if saved.spec != spec:
            message = f"checkpoint {saved.path} was made for {saved.spec}, not {spec}"
            raise CheckpointError(message)
        arrays = {key: value.copy() for key, value in saved.arrays.items()}
        slices: list[U8] = []
        while slice_name(len(slices)) in arrays:
            slices.append(arrays.pop(slice_name(len(slices))))
        first = 0 if self.alike else self.ranks.rank * self.env.num_envs
        running = np.zeros((self.config.num_envs, self.env.spec.num_agents))
        try:
            self.learner.adopt(arrays)
        except ValueError as error:
            message = f"checkpoint {saved.path} does not fit its configuration: {error}"
            raise CheckpointError(message) from error
        expected = {key: value.numpy() for key, value in self.learner.layout().items()}
        checkpoint.require_like(saved, {**expected, "running_return": running})
        try:
            self._restore_envs(slices, first)
        except EnvError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            message = f"checkpoint {saved.path} holds no state of {self.config.env}: {error}"
            raise CheckpointError(message) from error
        returns = arrays.pop("running_return")[first : first + self.env.num_envs]
        self.collector.running_return[...] = returns[:, self.learner.agents.members]
        # Environments that cannot be saved have started a new episode.
        self.collector.running_return[self.env.time == 0] = 0.0
        self.learner.load_state({key: torch.from_numpy(value) for key, value in arrays.items()})
        self.done = saved.update
        self.episodes, self.seconds = saved.extra["episodes"], saved.extra["seconds"]
        self.sent = saved.extra["sent"]
        return {**saved.extra["logs"], "update": saved.update}

    def _restore_envs(self, slices: list[U8], first: int) -> None:
        """Loads this rank's environments, `first` and on, from the slices of the saved ranks."""
        count, per_slice = self.env.num_envs, self.config.num_envs // len(slices)
        if count == per_slice:
            self.env.load_state(slices[first // per_slice])
            return
        view = self.learner.algorithm.view
        for number, state in enumerate(slices):
            start = number * per_slice
            low, high = max(first, start), min(first + count, start + per_slice)
            if low >= high:
                continue
            with closing(view.env(self._batch(start, per_slice, 1))) as other:
                other.load_state(state)
                part = other.save_state(low - start, high - low)
            self.env.load_state(part, low - first, high - low)

    def _summary(self, run: Run) -> dict[str, Any]:
        tail = run.metrics[-max(1, int(FINAL_SHARE * len(run.metrics))) :]
        means = [r["team_return"] for r in tail if r["team_return"] is not None]
        private = self.learner.agents.private
        return {
            "env": self.config.env,
            "algorithm": self.config.algorithm,
            "seed": self.config.seed,
            "updates": self.done,
            "episodes": self.episodes,
            "env_steps": self.done * self.steps * self.config.num_envs,
            "seconds": self.seconds,
            "team_return": float(np.mean(means)) if means else None,
            "entropy": float(_mean([r["entropy"] for r in tail])) if tail else None,
            "bytes_sent": sum(sum(units["bytes"]) for units in self.sent.values()),
            "sent": self.sent,
            **({} if private is None else {"privacy": private.summary()}),
        }


def _mean(values: list[list[float | None]]) -> Any:
    """Over updates and agents, without those that had no row."""
    table = np.array(values, dtype=np.float64)
    return np.nanmean(table) if np.isnan(table).any() else table.mean()


def slice_name(rank: int) -> str:
    """Name of a rank's environment state in a checkpoint."""
    return "env" if rank == 0 else f"env.{rank}"


def spec_dict(spec: Spec) -> dict[str, Any]:
    """Sizes of an environment as plain JSON values; action counts only where they differ."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    if not spec.padded:
        del values["action_counts"]
    return values
