"""A trained policy that acts with NumPy alone."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore._core import __version__
from ascore.envs import legal as masks
from ascore.envs.joint import decode
from ascore.envs.parameters import as_text
from ascore.envs.vec_env import Spec
from ascore.errors import CheckpointError
from ascore.runs import checkpoint, tensorfile, texts
from ascore.runs.files import as_path, write_out
from ascore.runs.tensorfile import metadata, parse, serialize

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

# Name of the file format, and the version of its layout.
FORMAT_NAME, FORMAT = "ascore.policy", 1
PARAM, HORIZON, BINS, COUNTS = "env_param.", "horizon", "action_bins", "action_counts"
_LARGEST = float(np.finfo(np.float32).max)
MOST_AGENTS, MOST_ACTIONS = 2**16, 2**20


@dataclass(frozen=True, repr=False)
class Policy:
    """The own policies pi^{ii} of N agents, or one central policy that acts for all agents.

    Attributes:
        env: environment name.
        env_params: parameters of the environment.
        layers: per layer (weight f32 [K, in, out], bias f32 [K, out]); K = N, or 1 if central.
        config: the training configuration as plain values; empty for an exported policy.
        obs_scale: factor by which observations are multiplied before the first layer.
        num_agents: N.
        num_actions: A, the largest of `action_counts`.
        source: the file that names `env`, which is not to be imported before its user says that
            the file is trusted; None = it may be.
        horizon: steps after which an episode is truncated; 0 = as the environment says.
        action_counts: A_i of every agent; all A unless given.
        action_bins: values among which each entry of a continuous action is chosen; 0 = none is.
    """

    env: str
    env_params: dict[str, Any]
    layers: Sequence[tuple[F32, F32]]
    config: dict[str, Any]
    obs_scale: float
    num_agents: int
    num_actions: int
    source: Path | None = None
    horizon: int = 0
    action_counts: tuple[int, ...] = ()
    action_bins: int = 0

    def __post_init__(self) -> None:
        counts = self.action_counts or (self.num_actions,) * self.num_agents
        object.__setattr__(self, "action_counts", tuple(counts))

    def __repr__(self) -> str:
        first, last = self.layers[0][0], self.layers[-1][0]
        sizes = "-".join(
            str(size) for size in [*(w.shape[1] for w, _ in self.layers), last.shape[2]]
        )
        return (
            f"Policy({self.env!r}, {self.num_agents} agents, {_counts_text(self.action_counts)} "
            f"actions, {len(first)} networks {sizes})"
        )

    @property
    def centralised(self) -> bool:
        """Whether one central policy draws joint actions for all agents."""
        return len(self.layers[0][0]) < self.num_agents

    def log_probs(self, obs: npt.NDArray[Any], legal: U8 | None = None) -> F32:
        """Log-probabilities pi^{ii}(.|s) f32 [B, N, A]; about -1e9 where an agent cannot act so.

        A central policy gives those of the joint actions, f32 [B, 1, J], J the product of all A_i;
        agent 0 is the leading digit.

        Args:
            obs: [B, V, O] of the environment.
            legal: u8 [B, N, A], 1 at the actions that are legal, such as `VecEnv.legal`; None =
                every action that an agent has.

        Raises:
            ValueError: a shape does not fit, or nothing is legal for an agent.
        """
        size = self.layers[0][0].shape[1]
        if self.centralised and obs.ndim == 3:
            obs = obs.reshape(len(obs), 1, -1)
        if obs.ndim != 3 or obs.shape[2] != size:
            message = f"obs has shape {obs.shape}; this policy needs [num_envs, views, {size}]"
            raise ValueError(message)
        scaled = obs.astype(np.float32).transpose(1, 0, 2) * np.float32(self.obs_scale)  # [V, B, O]
        # Computed in double precision and rounded once, so that the result does not depend on the
        # order of summation, which differs between libraries, machines and the C++ policy.
        hidden = scaled.astype(np.float64)
        for index, (weight, bias) in enumerate(self._wide_layers):
            hidden = hidden @ weight + bias[:, None, :]
            if index + 1 < len(self.layers):
                hidden = np.maximum(hidden, 0.0)
        if legal is not None:
            hidden = np.where(self._legal_outputs(legal, len(obs)), hidden, masks.ILLEGAL)
        logits = hidden - hidden.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return np.ascontiguousarray((logits - log_sum).transpose(1, 0, 2), dtype=np.float32)

    def _legal_outputs(self, legal: U8, rows: int) -> U8:
        """u8 [B, N, A] of the agents as the networks' outputs [K, B, A or J]."""
        wanted = rows, self.num_agents, self.num_actions
        if np.shape(legal) != wanted:
            message = f"legal has shape {np.shape(legal)}; this policy needs {wanted}"
            raise ValueError(message)
        own = np.asarray(legal).astype(np.bool_)
        own &= ~masks.padding(self.action_counts, self.num_actions)
        nothing = np.argwhere(~own.any(axis=-1))
        if len(nothing):
            b, i = nothing[0]
            message = f"legal[{b},{i}] leaves agent {i} no action; leave it at least one"
            raise ValueError(message)
        outputs = own.view(np.uint8)
        if self.centralised:
            return masks.joint(outputs, self.action_counts)[None]
        return outputs.transpose(1, 0, 2)

    @functools.cached_property
    def _wide_layers(self) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        return [
            (weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in self.layers
        ]

    def require(self, spec: Spec) -> None:
        """Raises ValueError unless the policy can act in an environment of these sizes."""
        size = math.prod(spec.obs_shape) * (spec.views if self.centralised else 1)
        theirs = (spec.num_agents, size, _counts_text(spec.action_counts))
        ours = (self.num_agents, self.layers[0][0].shape[1], _counts_text(self.action_counts))
        if ours != theirs:
            message = (
                f"the policy is for {ours[0]} agents, {ours[1]} observation entries and {ours[2]} "
                f"actions (it was trained in {self.env}); {spec.name} has {theirs[0]}, {theirs[1]} "
                f"and {theirs[2]}"
            )
            raise ValueError(message)

    def act(
        self, obs: npt.NDArray[Any], uniform: F32 | None = None, legal: U8 | None = None
    ) -> npt.NDArray[np.int32]:
        """Actions i32 [B, N]: sampled with `uniform` f32 [B, N], or the most probable if None.

        Args:
            obs: [B, V, O] of the environment.
            uniform: numbers in [0, 1).
            legal: as in `log_probs`; an action that is not legal is never taken.
        """
        return self.choose(self.log_probs(obs, legal), uniform)

    def choose(self, log_probs: F32, uniform: F32 | None) -> npt.NDArray[np.int32]:
        """Actions i32 [B, N] as from `act`, given the result of `log_probs`."""
        if not self.centralised:
            return choose(log_probs, uniform)
        joint = choose(log_probs, None if uniform is None else uniform[:, :1])[:, 0]
        return decode(joint, self.action_counts)

    def entropy(self, log_probs: F32) -> F32:
        """Entropy per agent in nats, f32 [B, N]; a central policy's is divided equally."""
        entropy: F32 = -(np.exp(log_probs) * log_probs).sum(axis=-1)
        if not self.centralised:
            return entropy
        return np.repeat(entropy / self.num_agents, self.num_agents, axis=1)


def _counts_text(counts: tuple[int, ...]) -> str:
    return str(counts[0]) if len(set(counts)) == 1 else " or ".join(map(str, counts))


def choose(log_probs: F32, uniform: F32 | None) -> npt.NDArray[np.int32]:
    """Samples from f32 [B, N, A] by inverse transform; the most probable if `uniform` is None."""
    if uniform is None:
        best: npt.NDArray[np.int32] = log_probs.argmax(axis=-1).astype(np.int32)
        return best
    cdf = np.exp(log_probs).cumsum(axis=-1)
    action: npt.NDArray[np.int32] = (cdf[..., :-1] <= uniform[..., None] * cdf[..., -1:]).sum(
        axis=-1, dtype=np.int32
    )
    return action


def load_policy(run: str | Path, name: str | None = None, *, trust: bool = False) -> Policy:
    """Loads a policy from an exported file or from a run's newest checkpoint, or the one `name`.

    Loading imports nothing; `evaluate` imports an environment MODULE:CALLABLE.

    Args:
        run: the file, or the folder of a run.
        name: of the checkpoint; None = the newest.
        trust: whether the environment that the file names may be imported later on.

    Raises:
        CheckpointError: the checkpoint is missing or damaged, or the file holds no policy.
    """
    path = as_path(run)
    policy = from_file(path) if path.is_file() else from_checkpoint(checkpoint.load(path, name))
    return dataclasses.replace(policy, source=None) if trust else policy


def export_policy(policy: Policy | str | Path, out: str | Path) -> Path:
    """Writes one safetensors file that `load_policy`, `ascore::Policy` and `ascore.h` load.

    The file holds `layers.l.weight` f32 [K, in, out] and `layers.l.bias` f32 [K, out] for each
    layer l, and as metadata strings: format, version, env, env_param.NAME, obs_scale, num_agents,
    num_actions, ascore; horizon and action_bins where the run has them, and action_counts, such as
    3,2, where agents have different numbers of actions.

    Args:
        policy: a policy, or a run folder, of which the newest checkpoint is exported.
        out: path of the file; its folder is created.

    Raises:
        CheckpointError: as `load_policy`.
        ValueError: such a file could not be read, say for numbers that are not finite.
        RunError: the file cannot be written.
    """
    if not isinstance(policy, Policy):
        policy = load_policy(policy)
    counts = policy.action_counts
    about = {
        "format": FORMAT_NAME,
        "version": str(FORMAT),
        "ascore": __version__,
        "env": policy.env,
        "obs_scale": repr(float(policy.obs_scale)),
        "num_agents": str(policy.num_agents),
        "num_actions": str(policy.num_actions),
        **({HORIZON: str(policy.horizon)} if policy.horizon else {}),
        **({BINS: str(policy.action_bins)} if policy.action_bins else {}),
        **({COUNTS: ",".join(map(str, counts))} if len(set(counts)) > 1 else {}),
        **{f"{PARAM}{key}": as_text(value) for key, value in policy.env_params.items()},
    }
    arrays = {}
    for index, (weight, bias) in enumerate(policy.layers):
        arrays[f"layers.{index}.weight"] = weight
        arrays[f"layers.{index}.bias"] = bias
    data = serialize(arrays, about)
    from_bytes(data, None)  # nobody is given a file that cannot be read
    return write_out(out, data)


def from_file(path: Path) -> Policy:
    """Reads what `export_policy` wrote."""
    try:
        return from_bytes(tensorfile.read(path, links=True), path)
    except (OSError, ValueError) as error:
        message = f"{path} does not hold a policy ({error}); write it with `ascore export`"
        raise CheckpointError(message) from error


def from_bytes(data: bytes, source: Path | None) -> Policy:
    """The policy of an exported file; cpp/include/ascore/policy.hpp accepts the same files.

    Raises:
        ValueError: it is damaged, or holds no policy.
    """
    about, arrays = metadata(data), parse(data)
    if texts.text(about, "format") != FORMAT_NAME:
        message = f'format = "{about["format"]}", want "{FORMAT_NAME}"'
        raise ValueError(message)
    version = texts.whole(about, "version", 1_000_000)
    if version != FORMAT:
        message = (
            f"policy format {version}, this version reads {FORMAT}; export it with the same "
            "version of ascore"
        )
        raise ValueError(message)
    for name, array in arrays.items():
        if array.dtype != np.float32:
            message = f"tensor {name} is of dtype {array.dtype}, want float32"
            raise ValueError(message)
    layers = []
    for index in range(len(arrays) // 2):
        prefix = f"layers.{index}"
        if f"{prefix}.weight" not in arrays or f"{prefix}.bias" not in arrays:
            message = f"it lacks {prefix}.weight or {prefix}.bias"
            raise ValueError(message)
        layers.append((arrays[f"{prefix}.weight"], arrays[f"{prefix}.bias"]))
    if not layers or len(arrays) != 2 * len(layers):
        message = f"it holds {len(arrays)} tensors, want a weight and a bias per layer"
        raise ValueError(message)
    policy = Policy(
        env=texts.text(about, "env"),
        env_params={
            key[len(PARAM) :]: texts.as_value(text)
            for key, text in about.items()
            if key.startswith(PARAM)
        },
        layers=layers,
        config={},
        obs_scale=texts.number(about, "obs_scale"),
        num_agents=texts.whole(about, "num_agents", MOST_AGENTS),
        num_actions=texts.whole(about, "num_actions", MOST_ACTIONS),
        source=source,
        horizon=texts.whole(about, HORIZON, 2**31 - 1) if HORIZON in about else 0,
        action_counts=texts.wholes(about, COUNTS, MOST_ACTIONS) if COUNTS in about else (),
        action_bins=texts.whole(about, BINS, 256) if BINS in about else 0,
    )
    require_sound(policy)
    return policy


def require_sound(policy: Policy) -> None:
    """Refuses a policy that could not act, or not as it should.

    Raises:
        ValueError: layers that do not fit together, numbers that are not finite, or outputs that
            do not serve the agents.
    """
    before: tuple[int, int] | None = None
    if not (policy.obs_scale <= _LARGEST and np.float32(policy.obs_scale) > 0):
        message = f"obs_scale = {policy.obs_scale} is not a number above 0"
        raise ValueError(message)
    for index, (weight, bias) in enumerate(policy.layers):
        shape = weight.shape
        fits = len(shape) == 3 and 0 not in shape and bias.shape == (shape[0], shape[2])
        if not fits or (before is not None and shape[:2] != before):
            message = (
                f"layers.{index} has weight {[*shape]} and bias {[*bias.shape]}, which do not fit "
                f"together{' or not the layer before' if index else ''}"
            )
            raise ValueError(message)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            message = f"layers.{index} holds a number that is not finite; train again"
            raise ValueError(message)
        before = (shape[0], shape[2])
    networks, width = policy.layers[-1][1].shape
    agents, actions, counts = policy.num_agents, policy.num_actions, policy.action_counts
    if len(counts) != agents or max(counts) != actions:
        message = f"action_counts = {counts} is not of {agents} agents, one with {actions} actions"
        raise ValueError(message)
    outputs = actions if networks > 1 else math.prod(counts)
    if networks not in (agents, 1) or width != outputs:
        message = (
            f"{networks} networks of {width} outputs do not serve {agents} agents of {actions} "
            "actions"
        )
        raise ValueError(message)


def _own_heads(subjects: npt.NDArray[Any] | None, n: int, heads: int) -> npt.NDArray[np.int64]:
    """Which of its heads is an agent's own, i64 [N]; head j is of agent j unless it is said.

    Raises:
        ValueError: what is said of the heads cannot be.
    """
    if subjects is None:
        return np.arange(n) if heads > 1 else np.zeros(n, dtype=np.int64)
    fits = subjects.shape == (n, heads) and subjects.dtype == np.int64
    own = subjects == np.arange(n)[:, None] if fits else np.zeros((n, 1), dtype=np.bool_)
    if not (own.sum(axis=1) == 1).all():
        message = f"actor.subjects {[*subjects.shape]} does not name {heads} heads of {n} agents"
        raise ValueError(message)
    place: npt.NDArray[np.int64] = own.argmax(axis=1)
    return place


def from_checkpoint(saved: checkpoint.Checkpoint) -> Policy:
    """Extracts the own policies from the actor's parameters."""
    try:
        actor, flat = saved.extra["actor"], saved.arrays["actor"]
        sizes, heads = actor["sizes"], actor["heads"]
        agents, actions = saved.spec["num_agents"], saved.spec["num_actions"]
        if not 1 <= agents <= MOST_AGENTS:  # a tuple of this length is made below
            message = f"num_agents = {agents} is outside 1..{MOST_AGENTS}"
            raise ValueError(message)
        n = actor.get("agents", agents)
        if flat.dtype != np.float32 or not n * heads <= flat.size:
            message = f"{flat.size} numbers of {flat.dtype} for {n} times {heads} networks"
            raise ValueError(message)
        index, own = np.arange(n), _own_heads(saved.arrays.get("actor.subjects"), n, heads)
        if actor["layout"] == "separate":
            flat = flat.reshape(n, heads, -1)[index, own]
        layers, at = [], 0
        for n_in, n_out in itertools.pairwise(sizes):
            weight = flat[:, at : at + n_in * n_out].reshape(n, n_in, n_out)
            at += n_in * n_out
            bias = flat[:, at : at + n_out]
            at += n_out
            layers.append((weight, bias))
        if actor["layout"] == "multihead" and heads > 1:
            weight, bias = layers[-1]
            own_weight = weight.reshape(n, -1, heads, actions)[index, :, own]
            layers[-1] = (own_weight, bias.reshape(n, heads, actions)[index, own])
        policy = Policy(
            env=saved.config["env"],
            env_params=saved.config["env_params"],
            layers=[(np.ascontiguousarray(w), np.ascontiguousarray(b)) for w, b in layers],
            config=saved.config,
            obs_scale=float(saved.spec.get("obs_scale", 1.0)),
            num_agents=agents,
            num_actions=actions,
            source=saved.path / checkpoint.MANIFEST,
            horizon=int(saved.config.get("horizon", 0)),
            action_counts=tuple(saved.spec.get("action_counts", ())),
            action_bins=int(saved.config.get("action_bins", 0)),
        )
        require_sound(policy)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        message = f"checkpoint {saved.path} does not hold a policy ({error}); train again"
        raise CheckpointError(message) from error
    return policy
