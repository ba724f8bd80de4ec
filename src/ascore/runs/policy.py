"""A trained policy that acts with NumPy alone."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ascore._core import __version__
from ascore.envs.joint import split
from ascore.envs.parameters import NONE, read_value
from ascore.errors import CheckpointError
from ascore.runs import checkpoint
from ascore.runs.files import unwritable, write_atomic
from ascore.runs.tensorfile import metadata, parse, serialize

F32 = npt.NDArray[np.float32]

# Name of the file format, and the version of its layout.
FORMAT_NAME, FORMAT = "ascore.policy", 1
PARAM = "env_param."


@dataclass(frozen=True)
class Policy:
    """The own policies pi^{ii} of N agents, or one central policy that acts for all agents.

    Attributes:
        env: environment name.
        env_params: parameters of the environment.
        layers: per layer (weight f32 [K, in, out], bias f32 [K, out]); K = N, or 1 if central.
        config: the training configuration as plain values; empty for an exported policy.
        obs_scale: factor by which observations are multiplied before the first layer.
        num_agents: N.
        num_actions: A, of one agent.
        source: the file that names `env`, which is not to be imported before its user says that
            the file is trusted; None = it may be.
    """

    env: str
    env_params: dict[str, Any]
    layers: Sequence[tuple[F32, F32]]
    config: dict[str, Any]
    obs_scale: float
    num_agents: int
    num_actions: int
    source: Path | None = None

    @property
    def centralised(self) -> bool:
        """Whether one central policy draws joint actions for all agents."""
        return len(self.layers[0][0]) < self.num_agents

    def log_probs(self, obs: npt.NDArray[Any]) -> F32:
        """Log-probabilities pi^{ii}(.|s): obs [B, V, O] of the environment -> f32 [B, N, A].

        A central policy gives those of the joint actions, f32 [B, 1, A**N]; agent 0 is the leading
        digit.
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
        logits = hidden - hidden.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return np.ascontiguousarray((logits - log_sum).transpose(1, 0, 2), dtype=np.float32)

    @functools.cached_property
    def _wide_layers(self) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        return [
            (weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in self.layers
        ]

    def act(self, obs: npt.NDArray[Any], uniform: F32 | None = None) -> npt.NDArray[np.int32]:
        """Actions i32 [B, N]: sampled with `uniform` f32 [B, N], or the most probable if None."""
        return self.choose(self.log_probs(obs), uniform)

    def choose(self, log_probs: F32, uniform: F32 | None) -> npt.NDArray[np.int32]:
        """Actions i32 [B, N] as from `act`, given the result of `log_probs`."""
        if not self.centralised:
            return choose(log_probs, uniform)
        joint = choose(log_probs, None if uniform is None else uniform[:, :1])[:, 0]
        return split(joint, self.num_agents, self.num_actions)

    def entropy(self, log_probs: F32) -> F32:
        """Entropy per agent in nats, f32 [B, N]; a central policy's is divided equally."""
        entropy: F32 = -(np.exp(log_probs) * log_probs).sum(axis=-1)
        if not self.centralised:
            return entropy
        return np.repeat(entropy / self.num_agents, self.num_agents, axis=1)


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
    path = Path(run)
    policy = from_file(path) if path.is_file() else from_checkpoint(checkpoint.load(path, name))
    return dataclasses.replace(policy, source=None) if trust else policy


def export_policy(policy: Policy | str | Path, out: str | Path) -> Path:
    """Writes one safetensors file that `load_policy`, `ascore::Policy` and `ascore.h` load.

    The file holds `layers.l.weight` f32 [K, in, out] and `layers.l.bias` f32 [K, out] for each
    layer l, and as metadata strings: format, version, env, env_param.NAME, obs_scale, num_agents,
    num_actions, ascore.

    Args:
        policy: a policy, or a run folder, of which the newest checkpoint is exported.
        out: path of the file; its folder is created.

    Raises:
        CheckpointError: as `load_policy`.
        RunError: the file cannot be written.
    """
    if not isinstance(policy, Policy):
        policy = load_policy(policy)
    about = {
        "format": FORMAT_NAME,
        "version": str(FORMAT),
        "ascore": __version__,
        "env": policy.env,
        "obs_scale": repr(float(policy.obs_scale)),
        "num_agents": str(policy.num_agents),
        "num_actions": str(policy.num_actions),
        **{f"{PARAM}{key}": _as_text(value) for key, value in policy.env_params.items()},
    }
    arrays = {}
    for index, (weight, bias) in enumerate(policy.layers):
        arrays[f"layers.{index}.weight"] = weight
        arrays[f"layers.{index}.bias"] = bias
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    write_atomic(path, serialize(arrays, about))
    return path


def from_file(path: Path) -> Policy:
    """Reads what `export_policy` wrote."""
    try:
        data = path.read_bytes()
        about, arrays = metadata(data), parse(data)
        if about["format"] != FORMAT_NAME or int(about["version"]) != FORMAT:
            message = f"{about['format']} {about['version']}, not {FORMAT_NAME} {FORMAT}"
            raise ValueError(message)
        layers = [
            (arrays[f"layers.{k}.weight"], arrays[f"layers.{k}.bias"])
            for k in range(len(arrays) // 2)
        ]
        return Policy(
            env=about["env"],
            env_params={
                key[len(PARAM) :]: _as_value(text)
                for key, text in about.items()
                if key.startswith(PARAM)
            },
            layers=layers,
            config={},
            obs_scale=float(about["obs_scale"]),
            num_agents=int(about["num_agents"]),
            num_actions=int(about["num_actions"]),
            source=path,
        )
    except (OSError, ValueError, KeyError) as error:
        message = f"{path} does not hold a policy ({error}); write it with `ascore export`"
        raise CheckpointError(message) from error


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_value(text: str) -> Any:
    if text in ("true", "false", NONE) or text.startswith(("[", "{")):
        return read_value(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def from_checkpoint(saved: checkpoint.Checkpoint) -> Policy:
    """Extracts the own policies from the actor's parameters."""
    try:
        sizes, layout, heads = (saved.extra["actor"][k] for k in ("sizes", "layout", "heads"))
        flat = saved.arrays["actor"]
        agents, actions = int(saved.spec["num_agents"]), int(saved.spec["num_actions"])
        n = int(saved.extra["actor"].get("agents", agents))
        a = actions if n == agents else actions**agents
        if layout == "separate":
            flat = flat.reshape(n, heads, -1)[np.arange(n), np.arange(n) if heads > 1 else 0]
        layers, at = [], 0
        for n_in, n_out in itertools.pairwise(sizes):
            weight = flat[:, at : at + n_in * n_out].reshape(n, n_in, n_out)
            at += n_in * n_out
            bias = flat[:, at : at + n_out]
            at += n_out
            layers.append((weight, bias))
        if layout == "multihead" and heads > 1:
            weight, bias = layers[-1]
            index = np.arange(n)
            own_weight = weight.reshape(n, -1, n, a)[index, :, index]
            layers[-1] = (own_weight, bias.reshape(n, n, a)[index, index])
    except (KeyError, ValueError, IndexError) as error:
        message = f"checkpoint {saved.path} does not hold a policy ({error}); train again"
        raise CheckpointError(message) from error
    return Policy(
        env=saved.config["env"],
        env_params=saved.config["env_params"],
        layers=[(np.ascontiguousarray(w), np.ascontiguousarray(b)) for w, b in layers],
        config=saved.config,
        obs_scale=float(saved.spec.get("obs_scale", 1.0)),
        num_agents=agents,
        num_actions=actions,
        source=saved.path / checkpoint.MANIFEST,
    )
