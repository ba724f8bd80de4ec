"""What holds for every algorithm of the table, and for those that come from outside."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from problems import Problem, log_softmax
from trainings import SMALL, session, train

import ascore
from ascore.algorithms import ippo, table
from ascore.algorithms.contract import (
    LOCAL,
    Algorithm,
    Compiled,
    CriticView,
    GraphKeys,
    own_keys,
    own_rewards,
    own_values,
)
from ascore.algorithms.links import Links
from ascore.algorithms.table import ALGORITHMS, OWNED, effective, get_algorithm, unread
from ascore.algorithms.terms import Batch, Messages
from ascore.algorithms.trial import DEFINITIONS
from ascore.config import Config
from ascore.errors import AscoreWarning, ConfigError
from ascore.learning.backends.engine import EngineBackend
from ascore.learning.backends.kernel import KernelBackend, compiled_loss
from ascore.learning.backends.pytorch import PyTorchBackend, objective_loss
from ascore.reference import rewards as reference

torch.set_num_threads(1)

COMPILED = [name for name, algorithm in ALGORITHMS.items() if algorithm.compiled is not None]


@pytest.fixture
def registered():
    """Registers algorithms for one test."""
    yield table.register_algorithm
    table._registered.clear()


# ---- the compiled loss is the objective ------------------------------------------------------


def test_every_compiled_loss_has_a_definition() -> None:
    assert set(DEFINITIONS) == set(Compiled)


def converted(value: Any, convert: Any) -> Any:
    """The same record with its floating-point tensors converted."""
    return dataclasses.replace(
        value,
        **{
            key: convert(entry)
            for key, entry in vars(value).items()
            if isinstance(entry, torch.Tensor) and entry.is_floating_point()
        },
    )


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("spread", [0.2, 3.0])
def test_the_compiled_loss_is_the_objective(name: str, spread: float) -> None:
    """Values and gradients in float64, at logits that float32 can hold; the kernel rounds."""
    algorithm = get_algorithm(name)
    n, a, m = 3, 5, 64
    problem = Problem(n, a, m, seed=4, graph="per_row", spread=spread)
    owners = np.arange(n)
    heads = n if algorithm.head_per_agent else 1
    logits = torch.from_numpy(problem.logits[:, :, :heads]).float().double()
    batch = problem.batch(owners)
    batch = dataclasses.replace(batch, old_log_probs=batch.old_log_probs[:, :, :heads])
    messages = None
    if algorithm.sends_policies:
        sent, old = (
            torch.from_numpy(log_softmax(x)) for x in (problem.sent_logits, problem.old_logits)
        )
        own = torch.stack([old[j, :, j] for j in range(n)])
        index = torch.from_numpy(problem.action).T[:, :, None]
        links = torch.from_numpy(problem.heard)
        messages = Messages(sent, own.gather(2, index).squeeze(2).T, links)
    config = Config(algorithm=name, entropy_bonus=0.02, penalty_weight=1.5)

    def single(value: Any) -> Any:
        return converted(value, lambda x: x.float().contiguous())

    def exact(value: Any) -> Any:
        """In float64, at numbers that float32 can hold."""
        return converted(value, lambda x: x.float().double())

    leaf = logits.clone().requires_grad_()
    heard = exact(messages) if messages is not None else None
    loss, terms = objective_loss(algorithm, leaf, exact(batch), heard, config)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    leaf = logits.float().requires_grad_()
    heard = single(messages) if messages is not None else None
    assert algorithm.compiled is not None
    value, also = compiled_loss(algorithm.compiled, leaf, single(batch), heard, config)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    torch.testing.assert_close(value.double(), loss.detach(), rtol=2e-5, atol=1e-5)
    torch.testing.assert_close(slope.double(), gradient, rtol=2e-4, atol=1e-6)
    assert also.statistics.keys() == terms.statistics.keys()
    for key, statistic in terms.statistics.items():
        torch.testing.assert_close(
            also.statistics[key].double(), statistic.double(), rtol=1e-4, atol=1e-5
        )


def halved(batch: Batch, log_probs: torch.Tensor, inbox: Any, config: Config) -> Any:
    """Another objective: every advantage counts half."""
    batch = dataclasses.replace(batch, advantage=0.5 * batch.advantage)
    return ippo.objective(batch, log_probs, inbox, config)


def test_a_compiled_loss_that_is_another_one_is_refused(registered: Any) -> None:
    for compiled in Compiled:
        with pytest.raises(ConfigError, match=f"halved is not the loss {compiled.name}.*= None"):
            registered(Algorithm("halved", "", halved, compiled=compiled))

    def again(*args: Any) -> Any:
        return ALGORITHMS["as"].objective(*args)

    copy = dataclasses.replace(ALGORITHMS["as"], name="as2", objective=again)
    assert registered(copy) is copy  # the same loss under another name


def test_a_loss_that_differs_for_sure_policies_alone_is_another_one(registered: Any) -> None:
    def timid(batch: Batch, log_probs: torch.Tensor, inbox: Any, config: Config) -> Any:
        terms = ippo.objective(batch, log_probs, inbox, config)
        rare = torch.relu(-4.0 - log_probs).sum(dim=(1, 2, 3))  # actions below 2 percent
        return dataclasses.replace(terms, policy=terms.policy + rare)

    with pytest.raises(ConfigError, match="timid is not the loss OWN_RATIO"):
        registered(Algorithm("timid", "", timid, compiled=Compiled.OWN_RATIO))


# ---- an objective from outside is the objective that trains ----------------------------------


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_an_objective_from_outside_trains(registered: Any, backend: str) -> None:
    calls = []

    def counted(*args: Any) -> Any:
        calls.append(args)
        return halved(*args)

    registered(Algorithm("halved", "every advantage counts half", counted))
    keys = {"iterations": 2, "minibatches": 3, "adam_epsilon": 1e4, "backend": backend}
    learner, _ = train(1, algorithm="halved", **keys)
    assert len(calls) == 6
    assert type(learner.backend) is PyTorchBackend
    plain, _ = train(1, algorithm="ippo", **{**keys, "backend": "torch"})
    start, _ = session(algorithm="ippo")
    ours, theirs = (
        (each.actor.net.flat - start.actor.net.flat).double().norm() for each in (learner, plain)
    )
    # With Adam's epsilon far above the gradients, half the gradient is half the way.
    assert float(ours / theirs) == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(learner.critic.net.flat, plain.critic.net.flat)


@pytest.mark.parametrize("backend", ["engine", "kernel"])
def test_a_backend_without_the_objective_refuses_it_by_name(registered: Any, backend: str) -> None:
    registered(Algorithm("halved", "", halved))
    with pytest.raises(ConfigError, match=f"backend = {backend} is not .*halved has no compiled"):
        session(algorithm="halved", backend=backend)


def test_each_backend_is_what_its_name_says() -> None:
    kinds = {"auto": EngineBackend, "engine": EngineBackend, "kernel": KernelBackend}
    for name, kind in {**kinds, "torch": PyTorchBackend}.items():
        assert type(session(algorithm="as", backend=name)[0].backend) is kind


def test_a_name_is_taken_once(registered: Any) -> None:
    with pytest.raises(ConfigError, match="called 'as' is built in; choose another name"):
        registered(dataclasses.replace(ALGORITHMS["as"], objective=halved))
    with pytest.raises(ConfigError, match=r"name = '\.\./as' is not allowed"):
        registered(dataclasses.replace(ALGORITHMS["as"], name="../as"))
    with pytest.raises(TypeError, match=r"'as' is a str; register an ascore\.Algorithm"):
        registered("as")
    registered(Algorithm("mine", "", halved))
    with pytest.raises(ConfigError, match="unknown algorithm 'mien'; did you mean 'mine'"):
        get_algorithm("mien")


def test_an_algorithm_is_found_by_its_place(monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from ascore.algorithms.ippo import IPPO\nOTHER = IPPO\nnothing = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert get_algorithm("mine:OTHER") is ALGORITHMS["ippo"]
    with pytest.raises(ConfigError, match=r"mine:nothing is a int; name an ascore\.Algorithm"):
        get_algorithm("mine:nothing")
    with pytest.raises(ConfigError, match=r"algorithm = mine:gone is not possible.*'mine' has no"):
        get_algorithm("mine:gone")
    config = Config(**{**SMALL, "algorithm": "mine:OTHER", "episodes": 6})
    run = ascore.train(config, tmp_path / "run")
    assert ascore.resume(run.path, episodes=12).summary["algorithm"] == "mine:OTHER"


# ---- keys ------------------------------------------------------------------------------------

NEEDS = {"graph_redraw": "random_one", "graph_degree": "nearest"}
"""Graphs without which a key changes nothing."""
OTHER_VALUES: dict[str, Any] = {
    "graph_degree": 3,
    "actor": "separate",
    "advantage_scale": "max",
    "anticipation": "correction",
    "communicate_every": 2,
    "discrepancy": "kl",
    "graph": "ring",
    "graph_redraw": False,
    "joint_action_limit": 5000,
    "message_form": "bits-2",
    "message_refresh": "minibatch",
    "peer_ratio_clip": 0.01,
    "peer_ratio_reference": "anticipated",
    "penalty_gate": "always",
    "penalty_weight": 7.0,
    "shares": "advantage",
}
NO_EFFECT_HERE = {"joint_action_limit"}  # it refuses environments, and changes no training


def weights(**keys: Any) -> bytes:
    learner, _ = train(2, **{"iterations": 2, "minibatches": 2, "backend": "torch", **keys})
    flats = (learner.actor.net.flat, learner.critic.net.flat)
    return b"".join(flat.detach().numpy().tobytes() for flat in flats)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_reads_the_keys_it_names_and_no_other(name: str) -> None:
    """Setting a key that is not read trains the same run, to the bit; one that is, another run."""
    keys = {"algorithm": name}
    usual = weights(**keys)
    assert set(OTHER_VALUES) == OWNED - {"graph_matrix"}  # graph = matrix needs it, and it alone
    for key, value in OTHER_VALUES.items():
        base = {"graph": NEEDS[key]} if key in NEEDS else {}
        before = weights(**keys, **base) if base else usual
        same = weights(**keys, **base, **{key: value}) == before
        if key not in NO_EFFECT_HERE:
            named = key in table.keys_read(name)
            assert same != named, f"{key} changes {'nothing' if same else 'the run'}: fix `keys`"


def test_a_key_that_nobody_reads_is_told(tmp_path: Path) -> None:
    config = Config(**{**SMALL, "algorithm": "ippo", "episodes": 3, "penalty_weight": 7.25})
    (message,) = unread(config, ["ippo"])
    assert message == "penalty_weight = 7.25 changes nothing: ippo does not read it"
    assert unread(config, ["ippo", "as"]) == []
    usual = config.replace(penalty_weight=1.0)
    assert unread(usual, ["ippo"]) == []
    assert unread(usual, ["ippo"], ["seed", "penalty_weight"]) == [
        "penalty_weight = 1.0 changes nothing: ippo does not read it"
    ]
    assert unread(usual, ["ippo", "as"], ["penalty_weight"]) == []
    assert unread(Config.preset("exchange", algorithm="ippo"), ["ippo"]) == []
    with pytest.warns(AscoreWarning, match=r"penalty_weight = 7\.25 changes nothing"):
        ascore.train(config, tmp_path / "run")
    assert effective(config) == effective(config.replace(penalty_weight=1.0, shares="advantage"))
    assert effective(config) != effective(config.replace(gamma=0.3))


# What makes the keys idle, in which algorithm, the keys with other values, and the reason.
NOBODY = "with graph = none nobody hears anybody"
ONE_PART = "minibatches = 1 is a whole iteration"
SEQUENTIAL = {"update_order": "sequential"}
WEIGHTED = ["advantage_scale", "discrepancy", "penalty_gate", "message_refresh"]
HEARD = [*WEIGHTED, "penalty_weight", "peer_ratio_clip", "peer_ratio_reference", "actor"]
HEARD += ["message_form"]
IDLE: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("as", {}, {"graph_degree": 3}, "only graph = nearest reads it"),
    ("vps", {"graph": "ring"}, {"graph_degree": 3}, "only graph = nearest reads it"),
    ("as", {"graph": "nearest"}, {"graph_redraw": False}, "only graph = random_one reads it"),
    (
        "ippo",
        {"iterations": 1},
        {"ratio_reference": "iteration"},
        "with iterations = 1 both are the policy at collection",
    ),
    ("ippo", {}, SEQUENTIAL, "agents of ippo send nothing while they learn"),
    ("vs", {}, SEQUENTIAL, "agents of vs send nothing while they learn"),
    (
        "ippo",
        {"iterations": 1, "minibatches": 1},
        {"clip_epsilon": 0.001},
        "with iterations = 1 and minibatches = 1 all ratios are 1",
    ),
    ("vs", {"graph": "none"}, {"shares": "advantage", "communicate_every": 2}, NOBODY),
    ("as", {"graph": "none"}, {key: OTHER_VALUES[key] for key in HEARD} | SEQUENTIAL, NOBODY),
    ("as", {"graph": "none"}, {"communicate_every": 2}, NOBODY),
    (
        "as",
        {"penalty_weight": 0.0},
        {key: OTHER_VALUES[key] for key in WEIGHTED} | SEQUENTIAL,
        "penalty_weight = 0",
    ),
    ("as", {"minibatches": 1}, {"message_refresh": "minibatch"}, ONE_PART),
    ("as", {}, {"rank_split": "agents"}, "only several ranks of one run read it"),
]


@pytest.mark.parametrize(("name", "makes", "keys", "reason"), IDLE)
def test_a_key_that_changes_nothing_beside_another_is_told(
    name: str, makes: dict[str, Any], keys: dict[str, Any], reason: str
) -> None:
    """Each is told, and trains the same run to the bit; without the other key it is not told."""
    usual = weights(algorithm=name, **makes)
    base = Config(algorithm=name, **{"iterations": 2, "minibatches": 2, **makes})
    for key, value in keys.items():
        assert weights(algorithm=name, **makes, **{key: value}) == usual, key
        config = base.replace(**{key: value})
        shown = str(value).lower() if isinstance(value, bool) else value
        sentence = f"{key} = {shown} changes nothing: {reason}"
        assert unread(config, [name], [key]) == [sentence]
        assert effective(config) == effective(base)


def test_a_run_of_one_process_says_that_it_shares_out_nothing(tmp_path: Path) -> None:
    config = Config(**{**SMALL, "episodes": 3, "rank_split": "agents"})
    sentence = "rank_split = agents changes nothing: only several ranks of one run read it"
    assert unread(config, ["as"]) == [sentence]
    assert unread(config, ["as"], ranks=2) == []
    with pytest.warns(AscoreWarning, match=sentence):
        run = ascore.train(config, tmp_path / "run")
    other = "rank_split = environments changes nothing: only several ranks"
    with pytest.warns(AscoreWarning, match=other) as warned:
        ascore.resume(run.path, episodes=6, set={"rank_split": "environments", "actor_lr": 0.5})
    assert len(warned) == 1
    assert ascore.resume(run.path, episodes=9).summary["updates"] == 3  # it was said once


BESIDE = [
    ("as", {"graph": "nearest"}, "graph_degree"),
    ("as", {"graph": "random_one"}, "graph_redraw"),
    ("ippo", {}, "ratio_reference"),
    ("as", {}, "update_order"),
    ("vps", {}, "update_order"),
    ("ippo", {"minibatches": 1}, "clip_epsilon"),
    ("ippo", {"iterations": 1}, "clip_epsilon"),
    ("vs", {}, "shares"),
    *(("as", {}, key) for key in (*HEARD, "communicate_every")),
    ("as", {"penalty_weight": 0.0}, "peer_ratio_clip"),
    ("as", {"iterations": 1}, "message_refresh"),
]


@pytest.mark.parametrize(("name", "makes", "key"), BESIDE)
def test_a_key_that_may_change_something_is_not_told(
    name: str, makes: dict[str, Any], key: str
) -> None:
    base = Config(algorithm=name, **{"iterations": 2, "minibatches": 2, **makes})
    assert unread(base, [name], [key]) == []


def test_a_key_is_told_only_if_it_changes_nothing_in_any_algorithm() -> None:
    config = Config(graph="none", minibatches=2, penalty_weight=7.0)
    (message,) = unread(config, ["as", "ippo"])
    assert message == f"penalty_weight = 7.0 changes nothing: {NOBODY}"
    assert unread(config.replace(graph="ring"), ["as", "ippo"]) == []
    assert unread(Config(graph_degree=3), ["as"]) == [
        "graph_degree = 3 changes nothing: only graph = nearest reads it"
    ]
    assert unread(Config(update_order="sequential"), ["as", "ippo"], ["update_order"]) == []
    (message,) = unread(Config(), ["vs", "ippo"], ["update_order"])
    assert message.endswith("changes nothing: agents of vs send nothing while they learn")


@dataclass(frozen=True)
class Mine(GraphKeys):
    tax: float = 0.5
    rounds: int = 2


def test_keys_of_ones_own(registered: Any) -> None:
    registered(Algorithm("mine", "", halved, keys=Mine))
    assert own_keys(Config(algorithm="mine"), Mine) == Mine()
    config = Config(algorithm="mine", algorithm_params={"tax": 2})
    assert own_keys(config, Mine) == Mine(tax=2.0)
    for name, key, options in (
        ("mine", "taxes", "its keys are "),
        ("ippo", "tax", "it has no keys of its own"),
    ):
        message = rf"{name} has no key '{key}' \(algorithm_params\); {options}"
        with pytest.raises(ConfigError, match=message):
            session(algorithm=name, algorithm_params={key: 1.0})
    with pytest.raises(ConfigError, match=r"rounds = 1\.5 is not .* a whole number"):
        session(algorithm="mine", algorithm_params={"rounds": 1.5})


# ---- who may read whose rewards --------------------------------------------------------------


def own_only(algorithm: Algorithm) -> bool:
    return algorithm.rewards is own_rewards and algorithm.advantages is own_values


def change_what_is_private(learner: Any, rollout: Any) -> None:
    """Other rewards and another critic for everybody but agent 0."""
    rollout.reward[:, :, 1:] = 5.0 - 3.0 * rollout.reward[:, :, 1:]
    with torch.no_grad():
        learner.critic_adam.parameters[1:] *= 1.5


def loss_of_agent_0(change: bool, **keys: Any) -> tuple[list[float], torch.Tensor, Any]:
    learner, collector = session(**keys)
    rollout = collector.collect(learner.actor)
    if change:
        change_what_is_private(learner, rollout)
    record = learner.update(rollout, 0)
    loss = [record[key][0] for key in ("policy_loss", "penalty", "value_loss")]
    return loss, learner.actor_adam.gradients[0].clone(), record


SEVERAL = [name for name, algorithm in ALGORITHMS.items() if algorithm.view is LOCAL]


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("keys", [{}, {"graph": "ring"}, {"shares": "advantage"}], ids=str)
def test_a_loss_moves_with_what_is_private_to_others_only_where_a_hook_reads_it(
    name: str, keys: dict[str, str]
) -> None:
    """With one iteration all messages were sent before anybody learned."""
    loss, gradient, record = loss_of_agent_0(change=False, algorithm=name, **keys)
    other_loss, other_gradient, _ = loss_of_agent_0(change=True, algorithm=name, **keys)
    private = own_only(get_algorithm(name))
    assert (loss == other_loss) == private
    assert torch.equal(gradient, other_gradient) == private
    # What is read has been sent, and the ledger has counted it.
    assert private == record.keys().isdisjoint({"floats_reward", "floats_value"})


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("keys", [{"graph": "none"}, {"communicate_every": 2}], ids=str)
def test_where_nothing_is_sent_nothing_is_read(name: str, keys: dict[str, Any]) -> None:
    number = keys.get("communicate_every", 1) - 1
    gradients = []
    for change in (False, True):
        learner, collector = session(algorithm=name, **keys)
        rollout = collector.collect(learner.actor)
        if change:
            change_what_is_private(learner, rollout)
        record = learner.update(rollout, number)
        gradients.append(learner.actor_adam.gradients[0].clone())
        assert record["floats_sent"] == [0] * 4
    assert torch.equal(*gradients)


# ---- rewards ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["team", "ia", "svo"])
@pytest.mark.parametrize("graph", ["complete", "ring", "environment", "none"])
def test_mixed_rewards_are_those_of_the_loops(name: str, graph: str) -> None:
    rng = np.random.default_rng(3)
    steps, envs, n = 23, 3, 4
    reward = rng.normal(0, 2, (steps, envs, n)).astype(np.float32)
    ended = (rng.random((steps, envs)) < 0.2).astype(np.uint8)
    seen = (rng.random((steps + 1, envs, n, n)) < 0.5).astype(np.uint8)
    seen[..., range(n), range(n)] = 0
    params = {"ia": {"alpha": 2.0, "beta": 0.5, "smoothing": 0.9}, "svo": {"angle": 30.0}}
    config = Config(algorithm=name, graph=graph, gamma=0.97, algorithm_params=params.get(name, {}))
    links = Links.of(seen[:-1], seen[-1], ended, config, 0)
    mixed = get_algorithm(name).rewards(reward, ended, links, config)
    assert mixed.dtype == np.float32
    heard = np.broadcast_to(links.rows, (steps, envs, n, n))
    if name == "team":
        expected = reference.team(reward, heard)
    elif name == "svo":
        expected = reference.weighed_by_angle(reward, heard, degrees=30.0)
    else:
        expected = reference.inequity_averse(
            reward, ended, heard, decay=0.97 * 0.9, alpha=2.0, beta=0.5
        )
    np.testing.assert_allclose(mixed, expected, rtol=1e-5, atol=1e-5)
    if graph == "none":
        assert (mixed == reward).all()


def test_a_team_reward_cooperates_where_own_rewards_defect(tmp_path: Path) -> None:
    """C. Predation for two: approaching together is worth -60, mutual defection -180."""
    keys = {"num_envs": 16, "actor_lr": 3e-3, "critic_lr": 3e-3, "episodes": 800, "seed": 11}
    returns = {}
    for name in ("team", "ippo"):
        config = Config(algorithm=name, env_params={"num_agents": 2}, **keys)
        run = ascore.train(config, tmp_path / name)
        returns[name] = ascore.evaluate(run, episodes=50).team_return.mean
    assert returns["team"] > -75
    assert returns["ippo"] < -140


def test_inequity_aversion_weighs_as_its_authors_do() -> None:
    """Hughes et al. 2018, Table 1."""
    keys = own_keys(Config(algorithm="ia"), ALGORITHMS["ia"].keys)
    assert vars(keys) == {"alpha": 5.0, "beta": 0.05, "smoothing": 0.975}


@pytest.mark.parametrize(
    ("angle", "expected"),
    [(0.0, [3.0, 6.0]), (90.0, [6.0, 3.0]), (45.0, [9.0 * 0.5**0.5] * 2), (-90.0, [-6.0, -3.0])],
)
def test_angles_of_social_value_orientation(angle: float, expected: list[float]) -> None:
    """Selfish, altruistic, prosocial, and for the others' harm."""
    config = Config(algorithm="svo", algorithm_params={"angle": angle})
    ended = np.zeros((1, 1), np.uint8)
    links = Links.of(None, None, ended, config, 0, 2)
    mixed = get_algorithm("svo").rewards(np.array([[[3, 6]]], np.float32), ended, links, config)
    assert mixed[0, 0] == pytest.approx(expected, abs=1e-5)


# ---- critics with another view ---------------------------------------------------------------


def together(obs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """All views side by side: [M, V, O] -> [M, 1, V O]."""
    return obs.reshape(len(obs), 1, -1)


JOINT_CRITIC = CriticView(size=lambda spec: spec.views * int(np.prod(spec.obs_shape)), obs=together)


def test_a_critic_may_see_more_than_its_actor(registered: Any) -> None:
    seeing = dataclasses.replace(ALGORITHMS["ippo"], name="seeing", critic_view=JOINT_CRITIC)
    registered(seeing)
    keys = {
        "env": "harvest-v1",
        "env_params": {"num_agents": 2, "horizon": 12, "obs_mode": "local"},
    }
    learner, records = train(2, algorithm="seeing", **keys)
    size = int(np.prod(learner.spec.obs_shape))
    assert learner.actor.net.sizes[0] == size
    assert learner.critic.net.sizes[0] == 2 * size
    assert isinstance(learner.backend, KernelBackend)
    slow, others = train(2, algorithm="seeing", backend="torch", **keys)
    torch.testing.assert_close(learner.critic.net.flat, slow.critic.net.flat, rtol=0, atol=1e-3)
    assert records[-1].keys() == others[-1].keys()
    with pytest.raises(ConfigError, match="critics of seeing see something else"):
        session(algorithm="seeing", backend="engine", **keys)
    # Values move with what the other agent alone sees.
    obs = np.random.default_rng(0).integers(0, 2, (5, 2, size), dtype=np.uint8)
    before = learner.valuation.values(obs)
    obs[:, 1] ^= 1
    assert (learner.valuation.values(obs)[0] != before[0]).all()
    alone, _ = session(algorithm="ippo", **keys)
    before = alone.valuation.values(obs)
    obs[:, 1] ^= 1
    assert (alone.valuation.values(obs)[0] == before[0]).all()


def test_every_algorithm_says_what_it_is() -> None:
    for (name, one), (other, two) in itertools.combinations(ALGORITHMS.items(), 2):
        assert (one.name, two.name) == (name, other)
        assert one.summary != two.summary


@pytest.mark.parametrize("name", ALGORITHMS)
def test_links_are_made_for_whoever_uses_them(name: str) -> None:
    algorithm = ALGORITHMS[name]
    shares = not own_only(algorithm) or algorithm.sends_policies or algorithm.mixes != "nothing"
    shares = shares or algorithm.infers is not None
    reads = issubclass(algorithm.keys, GraphKeys)
    assert algorithm.has_links == shares == reads
