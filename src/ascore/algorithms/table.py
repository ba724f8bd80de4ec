"""The table of algorithms: one file each, one row here; others join by `register_algorithm`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import get_type_hints

import numpy as np

from ascore.algorithms.anticipation import AS
from ascore.algorithms.contract import Algorithm, Compiled
from ascore.algorithms.cppo import CPPO
from ascore.algorithms.ia import IA
from ascore.algorithms.ippo import IPPO
from ascore.algorithms.ps import PS
from ascore.algorithms.sra import SRA
from ascore.algorithms.srr import SRR
from ascore.algorithms.svo import SVO
from ascore.algorithms.team import TEAM
from ascore.algorithms.trial import require_equal_loss
from ascore.algorithms.vps import VPS
from ascore.algorithms.vs import VS
from ascore.config import Config, read_matrix
from ascore.envs.adapters.locate import find
from ascore.envs.parameters import as_text
from ascore.errors import ConfigError, EnvError
from ascore.presets import preset_values

ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (AS, IPPO, CPPO, VPS, VS, PS, TEAM, IA, SVO, SRR, SRA)
}

OWNED = {
    key for algorithm in ALGORITHMS.values() for key in get_type_hints(algorithm.keys)
} & Config.names()
"""Keys of the configuration that some algorithms read and others do not."""

_registered: dict[str, Algorithm] = {}


def register_algorithm(algorithm: Algorithm) -> Algorithm:
    """Makes an algorithm from outside the package known by its name, in this process.

    What is called MODULE:NAME need not be registered: it is imported wherever it is needed, by
    commands, workers and ranks too.

    Args:
        algorithm: the record. Its objective is what trains, by PyTorch; with `compiled` set, the
            compiled loss must equal it, which is tried out here on random numbers.

    Returns:
        The same.

    Raises:
        TypeError: something else than an `Algorithm`.
        ConfigError: the name is taken or cannot name a folder, or the compiled loss is another one.
    """
    if not isinstance(algorithm, Algorithm):
        message = f"{algorithm!r} is a {type(algorithm).__name__}; register an ascore.Algorithm"
        raise TypeError(message)
    if not algorithm.name.replace("-", "_").isidentifier():
        message = f"name = {algorithm.name!r} is not allowed; use letters, digits, - and _"
        raise ConfigError(message)
    if algorithm.name in ALGORITHMS:
        message = f"an algorithm called {algorithm.name!r} is built in; choose another name"
        raise ConfigError(message)
    require_equal_loss(algorithm)
    _registered[algorithm.name] = algorithm
    return algorithm


def get_algorithm(name: str) -> Algorithm:
    """The record of that name, built in, registered or MODULE:NAME.

    Raises:
        ConfigError: there is none; lists the names there are.
    """
    known = {**ALGORITHMS, **_registered}
    if name in known:
        return known[name]
    if ":" in name:
        return _imported(name)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    message = f"unknown algorithm {name!r}; {hint}choose from: {', '.join(known)}; one of your own "
    message += "is MODULE:NAME, or registered first by ascore.register_algorithm"
    raise ConfigError(message)


def _imported(target: str) -> Algorithm:
    try:
        algorithm = find(target, "my_module:ALGORITHM")
    except EnvError as error:
        message = f"algorithm = {target} is not possible: {error}"
        raise ConfigError(message) from error
    if not isinstance(algorithm, Algorithm):
        message = f"{target} is a {type(algorithm).__name__}; name an ascore.Algorithm"
        raise ConfigError(message)
    require_equal_loss(algorithm)
    return algorithm


def keys_read(name: str) -> set[str]:
    """The keys of the configuration that an algorithm reads besides those that all read."""
    return set(get_type_hints(get_algorithm(name).keys))


def idle(config: Config, name: str, ranks: int = 1) -> dict[str, str]:
    """Keys that change nothing beside the values of other keys: by key, the reason.

    Up to rounding, where a value leads to another backend.

    Args:
        config: of the run.
        name: of the algorithm, instead of that of `config`.
        ranks: how many processes share the run.
    """
    algorithm = get_algorithm(name)
    nobody = "with graph = none nobody hears anybody"
    one_iteration, one_part = config.iterations == 1, config.minibatches == 1
    rules: list[tuple[bool, str, Iterable[str]]] = [
        (config.graph != "nearest", "only graph = nearest reads it", ["graph_degree"]),
        (config.graph != "random_one", "only graph = random_one reads it", ["graph_redraw"]),
        (
            one_iteration,
            "with iterations = 1 both are the policy at collection",
            ["ratio_reference"],
        ),
        (
            not algorithm.sends_policies and algorithm.mixes == "nothing",
            f"agents of {name} send nothing while they learn",
            ["update_order"],
        ),
        (config.graph == "none", nobody, ["communicate_every", "shares"]),
        (ranks == 1, "only several ranks of one run read it", ["rank_split"]),
        (config.dp == "none", "only dp reads it", ["delta", "clip_norm", "critic_clip_norm"]),
    ]
    if algorithm.compiled is not None:  # so the loss is one of ours
        both = "with iterations = 1 and minibatches = 1 all ratios are 1"
        rules.append((one_iteration and one_part, both, ["clip_epsilon"]))
    if algorithm.compiled is Compiled.ANTICIPATION:
        weighted = ["advantage_scale", "discrepancy", "penalty_gate", "message_refresh"]
        alone = [*weighted, "penalty_weight", "peer_ratio_clip", "peer_ratio_reference", "actor"]
        alone += ["message_form"]
        rules += [
            (config.graph == "none", nobody, [*alone, "update_order"]),
            (config.penalty_weight == 0, "penalty_weight = 0", [*weighted, "update_order"]),
            (one_part, "minibatches = 1 is a whole iteration", ["message_refresh"]),
        ]
    reasons: dict[str, str] = {}
    for applies, reason, keys in rules:
        for key in keys if applies else ():
            if key not in OWNED or key in keys_read(name):
                reasons.setdefault(key, reason)
    return reasons


def ignored(config: Config, name: str, ranks: int = 1) -> dict[str, str]:
    """As `idle`, with the keys that the algorithm never reads, whose reason is empty."""
    return dict.fromkeys(OWNED - keys_read(name), "") | idle(config, name, ranks)


def ignored_by_all(
    config: Config, algorithms: Iterable[str], typed: Collection[str] = (), ranks: int = 1
) -> dict[str, str]:
    """A sentence for every key that was set and that changes nothing in any of the algorithms.

    A key counts as set if its value is neither the default nor that of a preset of the
    environment, or if it is among `typed`: those that somebody has typed, whatever the value.
    `ranks` is how many processes share the run.
    """
    names = list(algorithms)
    each = [ignored(config, name, ranks) for name in names]
    unread = f"{' and '.join(names)} {'does' if len(names) == 1 else 'do'} not read it"
    usual = [vars(Config()), *preset_values(config.env)]
    return {
        key: f"{key} = {as_text(getattr(config, key))} changes nothing: "
        f"{next((reasons[key] for reasons in each if reasons[key]), unread)}"
        for key in sorted(set.intersection(*map(set, each)))
        if key in typed
        or getattr(config, key) not in [values[key] for values in usual if key in values]
    }


def unread(
    config: Config, algorithms: Iterable[str], typed: Collection[str] = (), ranks: int = 1
) -> list[str]:
    """The sentences of `ignored_by_all`."""
    return list(ignored_by_all(config, algorithms, typed, ranks).values())


def unheard(config: Config) -> list[str]:
    """A sentence about the agents whom nobody hears in a matrix that somebody wrote."""
    if config.graph != "matrix" or not get_algorithm(config.algorithm).has_links:
        return []
    alone = np.flatnonzero(~read_matrix(config.graph_matrix).any(axis=0)).tolist()
    if not alone:
        return []
    several = len(alone) > 1
    names = ", ".join(map(str, alone[:8])) + (" and others" if alone[8:] else "")
    return [
        f"graph_matrix lets nobody hear agent{'s' if several else ''} {names}; if that is not "
        f"meant, write a 1 into {'each of these columns' if several else 'this column'}"
    ]


def effective(config: Config) -> Config:
    """The configuration with every key that changes nothing at its default.

    Two configurations whose effective ones are equal train the same run.
    """
    default = Config()
    keys = ignored(config, config.algorithm)
    return config.replace(**{key: getattr(default, key) for key in keys})
