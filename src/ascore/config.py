"""One frozen record holds everything a run depends on; presets are TOML files of overrides."""

from __future__ import annotations

import dataclasses
import difflib
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from ascore.coercion import ParamValue as ParamValue
from ascore.coercion import coerce, read_form, require
from ascore.coercion import read_matrix as read_matrix
from ascore.display import html_table
from ascore.envs.parameters import NONE
from ascore.errors import ConfigError
from ascore.presets import preset_names, read_preset
from ascore.reading import TOML_LIMIT, read_regular, require_few_keys, toml, unreadable

# Lower bounds that are part of a key's meaning; checked when a configuration is made.
_AT_LEAST: dict[str, float] = {
    "seed": 0,
    "horizon": 0,
    "action_bins": 0,
    "episodes": 1,
    "num_envs": 1,
    "rollout_steps": 0,
    "iterations": 1,
    "minibatches": 1,
    "communicate_every": 1,
    "graph_degree": 1,
    "joint_action_limit": 2,
    "actor_lr": 0.0,
    "critic_lr": 0.0,
    "adam_epsilon": 1e-15,
    "penalty_weight": 0.0,
    "peer_ratio_clip": 0.0,
    "entropy_bonus": 0.0,
    "max_grad_norm": 0.0,
    "gamma": 0.0,
    "gae_lambda": 0.0,
    "epsilon": 0.0,
    "noise_multiplier": 0.0,
    "delta": 1e-300,
    "clip_norm": 1e-6,
    "critic_clip_norm": 1e-6,
    "num_threads": 0,
    "env_workers": -1,
    "env_timeout": 0.0,
    "torch_threads": 1,
    "checkpoint_every": 0,
    "keep_checkpoints": 1,
}
_ABOVE: dict[str, float] = {
    "clip_epsilon": 0.0,
}
_AT_MOST: dict[str, float] = {
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "delta": 0.5,
    "seed": 2**64 - 1,
    "env_workers": 1024,
    "action_bins": 256,
}


# Values that were called otherwise once, by key: old name -> present name.
RENAMED: dict[str, dict[str, str]] = {"backend": {"fused": "engine"}}


@dataclass(frozen=True, repr=False)
class Config:
    """Every key of a training run, with the defaults of the algorithm specification.

    Equation numbers are the paper's. A key that the paper does not have is off, or marked.
    """

    # Environment and algorithm
    env: str = "predation-v1"
    """Environment name; `ascore envs` lists them. MODULE:CALLABLE for a Python environment."""
    env_params: dict[str, ParamValue] = field(default_factory=dict)
    """Overrides of the environment's own parameters, such as num_agents; keyword arguments of a
    Python environment."""
    algorithm: str = "as"
    """as (Anticipation Sharing), ippo (independent PPO), cppo (one centre acts for all), vps
    (critics are averaged), vs (values are shared), ps (joint policies are averaged), team (the mean
    reward is learned from), ia (inequity aversion), svo (social value orientation), srr or sra
    (others' rewards are inferred by a model of one's own, in the reward or in the advantage).
    MODULE:NAME for an algorithm of your own."""
    algorithm_params: dict[str, ParamValue] = field(default_factory=dict)
    """Values of keys that the algorithm alone has, such as alpha of ia."""
    horizon: int = 0
    """Steps after which an episode is truncated; 0 = as the environment says. For Python
    environments that do not say, where 0 = as random play tells, which is written into the run; a
    compiled one has a parameter of this name, which it sets."""
    action_bins: int = 0
    """Values among which each entry of a continuous action (Box) of a Python environment is chosen,
    equally spaced from its low to its high; 0 = continuous actions are refused."""
    seed: int = 0
    """Keys every random stream: environments, actions, initial weights, minibatches."""
    episodes: int = 10_000
    """Training length in episodes of the environment's horizon, rounded up to whole updates:
    `episodes` times `horizon` steps. Where episodes end earlier, more of them fit in."""

    # Update: collect, then iterate
    num_envs: int = 32
    """Parallel environments B."""
    rollout_steps: int = 0
    """Steps T per environment and update; 0 = the environment's horizon."""
    iterations: int = 3
    """K passes over the batch per update (Table 1)."""
    minibatches: int = 4
    """Equal parts of the batch per iteration; 1 = full batch."""
    actor_lr: float = 5e-5
    """Learning rate of the actors' Adam; with the paper's, 5e-5, learning is slow."""
    critic_lr: float = 1e-4
    """Learning rate of the critics' Adam."""
    lr_decay: Literal["none", "linear"] = "none"
    """Learning rates stay as they are, or fall linearly to 0 over the `episodes` of the run."""
    adam_epsilon: float = 1e-8
    """At least 1e-15: squares of gradients below 1e-19 are too small for float32."""
    max_grad_norm: float = 0.0
    """Gradient norm limit per agent and network kind; 0 = off (the paper)."""
    entropy_bonus: float = 0.0
    """Weight of the policies' entropy in the objective; above 0 it keeps agents exploring."""
    clip_epsilon: float = 0.2
    """Half-width of the trust interval of the own ratio (Table 1)."""
    ratio_reference: Literal["rollout", "iteration"] = "rollout"
    """Denominator of the ratios: policy at collection, or at the start of each iteration
    (Algorithm 1 to the letter)."""
    update_order: Literal["simultaneous", "sequential"] = "simultaneous"
    """All agents step on the same messages, or one after the other (Algorithm 1 to the letter)."""

    # Who hears whom
    graph: Literal[
        "complete",
        "environment",
        "contacts",
        "chain",
        "ring",
        "nearest",
        "random_one",
        "matrix",
        "none",
    ] = "complete"
    """Who hears whom; `environment` asks the environment at every step. With `contacts` whom an
    agent has met there it hears until the episode ends (or the batch began: what was before is
    forgotten). With `nearest` it hears those whose numbers are nearest around a ring."""
    graph_matrix: str = ""
    """Links of `matrix`, such as 010,101,010: digit j of row i is 1 where i hears j."""
    graph_degree: int = 2
    """Agents that each hears in the graph `nearest`: next, previous, next but one, and so on."""
    graph_redraw: bool = True
    """random_one draws anew in every update, or once for the whole run."""
    communicate_every: int = 1
    """Updates per communication; in between nothing is sent: penalties and peer ratio are dropped
    (section 5.3), values are an agent's own, parameters are not mixed."""

    # Anticipation Sharing (Eq. 13-16)
    message_refresh: Literal["iteration", "minibatch"] = "iteration"
    """Messages are sent once per iteration, or anew for the rows of every minibatch."""
    message_form: str = "full"
    """What is sent of every distribution, and taken for it by all who receive it: all (full), the K
    largest probabilities (top-K), each to B bits (bits-B), M actions drawn from it (sampled-M), or
    all with normal noise of S nats on their logarithms (noise-S). Draws and noise follow from the
    seed, so whoever knows it can undo them."""
    penalty_weight: float = 1.0
    """rho of Eq. 16."""
    advantage_scale: Literal["mean", "max", "unit"] = "mean"
    """kappa: mean |A| over the batch (the paper's practice), max |A| (its theory), or 1, one unit
    of reward for everybody."""
    peer_ratio_reference: Literal["true", "anticipated"] = "true"
    """Denominator of the peer ratio: the policy that drew a_j, or the old anticipation (Eq. 13)."""
    peer_ratio_clip: float = 0.0
    """Clip the peer ratio to [1-c, 1+c]; 0 = off (the paper)."""
    anticipation: Literal["free", "correction"] = "free"
    """An anticipation is a policy of its own (the paper), or a correction of what its subject last
    sent: pi^{ij} = softmax(log pi^{jj} + head)."""
    discrepancy: Literal["l2", "kl"] = "l2"
    """Distance of the penalties: squared L2 (Eq. 16), or KL(received || own)."""
    penalty_gate: Literal["indicator", "always"] = "indicator"
    """Penalties act where Eq. 14 says, or on every row."""

    # Baselines
    shares: Literal["value", "advantage"] = "value"
    """What vs sends: values, or (less private) advantages."""
    joint_action_limit: int = 4096
    """Largest number of joint actions that cppo accepts."""

    # Targets (Eq. 17-18)
    gamma: float = 0.99
    """Discount per step of the returns that agents learn to maximise; 1 = none."""
    gae_lambda: float = 0.98
    """lambda of the advantages (GAE): 0 = one step and the critic, 1 = the whole return."""
    time_limit: Literal["bootstrap", "terminal"] = "bootstrap"
    """The last step of an episode is closed by V of the final state, or by zero."""
    value_target: Literal["lambda_return", "monte_carlo"] = "lambda_return"
    """What critics learn: the value plus the advantage, or the discounted return to the end."""
    value_normalization: bool = True
    """Critics learn normalised targets (PopArt), which leaves the objective as it is."""
    advantage_normalization: bool = False
    """Advantages are shifted and scaled to mean 0 and variance 1 in every update, per agent."""

    # Networks (Table 2)
    actor: Literal["multihead", "separate"] = "multihead"
    """One trunk with a head per peer, or N networks per agent (the paper)."""
    actor_hidden: tuple[int, ...] = (128, 64)
    """Units of the hidden layers of every actor."""
    critic_hidden: tuple[int, ...] = (128, 64)
    """Units of the hidden layers of every critic."""

    # Differential privacy
    dp: Literal["none", "episode", "environment"] = "none"
    """What rewards are protected, of each agent: those of any one episode, or of all episodes of
    any one of the parallel environments. All that learns then learns from gradients that are
    clipped by episode, and noised; docs/privacy.md says what is guaranteed."""
    epsilon: float = 0.0
    """Budget: the most that what dp protects may cost. The run ends before an update that would
    cost more. 0 = whatever the noise costs."""
    delta: float = 1e-5
    """At which epsilon is stated: well below 1 / the number of episodes."""
    noise_multiplier: float = 0.0
    """Deviation of the noise on the sum over the episodes of an update, in clipping norms; 0 = the
    least with which the run keeps epsilon."""
    clip_norm: float = 1.0
    """Norm to which an episode's gradient by the actor is shortened if it is longer: the part that
    reads rewards, as a mean over the episode's steps."""
    critic_clip_norm: float = 1.0
    """The same by the critic."""

    # Computing
    backend: Literal["auto", "engine", "kernel", "torch"] = "auto"
    """What computes an update: whole small networks compiled (engine), PyTorch's networks with a
    compiled loss (kernel), or PyTorch alone; auto = the first that fits. Equal up to rounding."""
    device: str = "cpu"
    """Where PyTorch computes updates: cpu, cuda or cuda:N. Away from the CPU backend is torch."""
    num_threads: int = 0
    """Environment threads; 0 = automatic. Results do not depend on it."""
    env_workers: int = 0
    """Processes that step the copies of a Python environment; 0 or 1 = this process alone, -1 = one
    per usable processor, as `ascore train` has it. Results do not depend on it."""
    env_timeout: float = 0.0
    """Seconds that one copy of a Python environment may take for a step before its worker process
    is killed and the run ends with an error; 0 = any time."""
    rank_split: Literal["auto", "agents", "environments"] = "auto"
    """What the ranks of one run share out when it learns: agents, each rank its own on the rows of
    all, or environments, each rank all agents on its own rows; auto = agents where they can be
    shared equally and learn compiled. They collect in their own environments either way."""
    torch_threads: int = 1
    """PyTorch threads; one is fastest for networks of this size."""

    # Output
    checkpoint_every: int = 0
    """Updates between checkpoints; 0 = about twenty per run. The last update is always saved."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept on disk."""
    tensorboard: bool = False
    """Also write TensorBoard events (needs the `tensorboard` extra)."""

    def __post_init__(self) -> None:
        for key, names in RENAMED.items():
            object.__setattr__(self, key, present_name(key, getattr(self, key), names))
        hints = _hints()
        for key, hint in hints.items():
            object.__setattr__(self, key, coerce(key, getattr(self, key), hint))
        for key, bound in _AT_LEAST.items():
            require(key, getattr(self, key), getattr(self, key) >= bound, f"at least {bound}")
        for key, bound in _ABOVE.items():
            require(key, getattr(self, key), getattr(self, key) > bound, f"above {bound}")
        for key, bound in _AT_MOST.items():
            require(key, getattr(self, key), getattr(self, key) <= bound, f"at most {bound}")
        rule = "0 (off) or at least 2"
        require("action_bins", self.action_bins, self.action_bins != 1, rule)
        noise, rule = self.noise_multiplier, "0 (what just keeps epsilon) or at least 1e-06"
        require("noise_multiplier", noise, noise == 0 or noise >= 1e-6, rule)
        if self.horizon > 0 and ":" not in self.env:
            params = {**self.env_params, "horizon": self.horizon}
            object.__setattr__(self, "env_params", params)
            object.__setattr__(self, "horizon", 0)
        if self.dp == "none":
            rule = "0 unless dp says what is protected, as dp = episode does"
            for key in ("epsilon", "noise_multiplier"):
                require(key, getattr(self, key), getattr(self, key) == 0, rule)
        if self.anticipation == "correction":
            rule = "simultaneous where anticipation = correction: replies need what was just sent"
            require("update_order", self.update_order, self.update_order != "sequential", rule)
        if read_form(self.message_form)[0] != "full":
            needed = {
                "anticipation": "free",
                "message_refresh": "iteration",
                "update_order": "simultaneous",
            }
            for key, value in needed.items():
                rule = f"{value} where message_form = {self.message_form}: one message an iteration"
                require(key, getattr(self, key), getattr(self, key) == value, rule)
        if self.graph == "matrix":
            read_matrix(self.graph_matrix)
        else:
            rule = "empty unless graph = matrix"
            require("graph_matrix", self.graph_matrix, not self.graph_matrix, rule)
        for key in ("actor_hidden", "critic_hidden"):
            sizes = getattr(self, key)
            ok = len(sizes) > 0 and all(size > 0 for size in sizes)
            require(key, sizes, ok, "one or more positive layer sizes")

    @classmethod
    def preset(
        cls, env: str, algorithm: str = "as", preset: str = "tuned", **overrides: Any
    ) -> Config:
        """Configuration of a shipped preset.

        Args:
            env: environment name, with or without its version ("exchange", "exchange-v1"), or
                MODULE:CALLABLE.
            algorithm: what learns; a preset is the same for all algorithms.
            preset: "tuned" or "paper" (Tables 1-2 and Eq. 13 as printed). All environments that
                have none of their own, such as MODULE:CALLABLE, share one that is called tuned.
            overrides: keys that replace the preset's; env_params are merged.

        Raises:
            ConfigError: no such preset, or an unknown key; lists what there is.
        """
        values = {**read_preset(env, preset), "algorithm": algorithm}
        params = {**values.pop("env_params", {}), **overrides.pop("env_params", {})}
        return cls.from_dict({**values, **overrides, "env_params": params}, f"preset {preset}")

    @classmethod
    def from_dict(cls, values: dict[str, Any], origin: str = "configuration") -> Config:
        """Checked construction; an unknown key is an error that suggests the nearest."""
        known = _hints()
        for key in (key for key in values if key not in known):
            near = difflib.get_close_matches(key, known, n=3)
            hint = "`ascore train --help` explains all keys"
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else hint
            message = f"unknown key {key!r}{origin and f' in {origin}'}; {hint}"
            raise ConfigError(message)
        return cls(**values)

    @classmethod
    def names(cls) -> set[str]:
        """Names of the keys."""
        return {key.name for key in dataclasses.fields(cls)}

    @classmethod
    def load(cls, path: str | Path, *, links: bool = True) -> Config:
        """Reads a TOML file written by `dump`; keys that it leaves out have their defaults.

        Args:
            path: of the file.
            links: follow a symbolic link, for a path that the user typed.

        Raises:
            ConfigError: it cannot be read, or a key or value is not allowed.
        """
        return cls.from_dict(read_config(path, links=links), str(path))

    def dump(self) -> str:
        """The configuration as TOML text.

        Raises:
            ConfigError: `load` would not read so much.
        """
        import tomli_w

        text = tomli_w.dumps(_without_none(self.to_dict()))
        size = len(text.encode())
        try:
            require_few_keys(text)
            if size > TOML_LIMIT:
                message = f"it has {size} bytes, of which at most {TOML_LIMIT} are read"
                raise ValueError(message)
        except ValueError as error:
            message = f"the configuration as a file could not be read: {error}; shorten env_params"
            raise ConfigError(message) from error
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain values (lists for tuples), as TOML and JSON hold them."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def differences(self) -> tuple[str, dict[str, tuple[Any, Any]]]:
        """The preset that is nearest, and what differs from it.

        Returns:
            Name of the preset of this environment that leaves the fewest differences, "" = there is
            none, and the defaults count; and by key the preset's value and this one's.
            Environment and algorithm are not counted; an entry of env_params is env.NAME, one of
            algorithm_params algorithm.NAME, and None where it is not set.
        """
        own = self._entries()
        compared = {name: _differing(base._entries(), own) for name, base in self._bases().items()}
        nearest = min(compared, key=lambda name: len(compared[name]))
        return nearest, compared[nearest]

    def _bases(self) -> dict[str, Config]:
        """The presets from which it can be made, first the one that is taken if none is named.

        A parameter of the environment that a preset sets can be changed, but not taken away.
        """
        names = [p for e, p in preset_names() if self.env.startswith(f"{e}-v")]
        bases = {}
        for name in sorted(names or ["tuned"], key=lambda name: name != "tuned"):
            try:
                base = Config.preset(self.env, self.algorithm, name)
            except ValueError:  # an environment of another version
                continue
            if base.env_params.keys() <= self.env_params.keys():
                bases[name] = base
        return bases or {"": Config(env=self.env, algorithm=self.algorithm)}

    def _entries(self) -> dict[str, Any]:
        """Plain values by key, those of environment and algorithm each by a key of its own."""
        values = {k: v for k, v in self.to_dict().items() if k not in ("env", "algorithm")}
        for prefix in ("env", "algorithm"):
            own = values.pop(f"{prefix}_params")
            values |= {f"{prefix}.{name}": value for name, value in own.items()}
        return values

    def __repr__(self) -> str:
        preset, changes = self.differences()
        text = f"Config.preset({self.env!r}" if preset else f"Config(env={self.env!r}"
        given: dict[str, Any] = {"algorithm": self.algorithm}
        if preset not in ("", "tuned"):
            given["preset"] = preset
        for key, (_, value) in changes.items():
            prefix, dot, name = key.partition(".")
            if dot:
                given.setdefault(f"{prefix}_params", {})[name] = value
            else:
                given[key] = value
        return f"{text}{''.join(f', {key}={value!r}' for key, value in given.items())})"

    def _repr_html_(self) -> str:
        preset, changes = self.differences()
        base = f"preset {preset}" if preset else "defaults"
        rows = [(key, str(value)) for key, (_, value) in changes.items()]
        title = f"{self.algorithm} on {self.env}"
        notes = [f"All else as in the {base}." if rows else f"Everything as in the {base}."]
        return html_table(title, (), rows, notes)

    def updates(self, horizon: int) -> int:
        """How many updates a training of this configuration has.

        Args:
            horizon: steps of an episode.
        """
        per_update = (self.rollout_steps or horizon) * self.num_envs / horizon  # episodes
        return math.ceil(self.episodes / per_update)

    def replace(self, **changes: Any) -> Config:
        """A copy with some keys changed; env_params given here replace the old ones."""
        return Config.from_dict({**self.to_dict(), **changes}, "")


def read_config(path: str | Path, *, links: bool = True) -> dict[str, Any]:
    """Keys and values of a TOML file as they stand there; ConfigError if it cannot be read."""
    try:
        return toml(read_regular(path, TOML_LIMIT, links=links))
    except (OSError, ValueError) as error:
        message = unreadable(f"configuration {path}", error, "restore or rewrite the file")
        raise ConfigError(message) from error


def _differing(base: dict[str, Any], own: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = [key for key in {**own, **base} if base.get(key) != own.get(key)]
    return {key: (base.get(key), own.get(key)) for key in keys}


def _without_none(value: Any) -> Any:
    """The same with the word None where TOML, which has no such value, cannot hold it."""
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_none(entry) for entry in value]
    return NONE if value is None else value


def _hints() -> dict[str, Any]:
    hints = get_type_hints(Config)
    return {f.name: hints[f.name] for f in dataclasses.fields(Config)}


def present_name(key: str, value: Any, names: dict[str, str]) -> Any:
    """The present name of a value; an old name is accepted with a warning."""
    if not isinstance(value, str) or value not in names:
        return value
    message = f"{key} = {value} is now called {names[value]}; write {key} = {names[value]}"
    warnings.warn(message, FutureWarning, stacklevel=4)
    return names[value]
