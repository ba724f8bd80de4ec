"""Heads for agents that are met again and again, though not in this update.

Where links are drawn anew (`random_one`), an actor has heads for those of the update alone. What it
learned about others is kept here until they are drawn again. Meanwhile nothing moves it, as in an
update without communication.

N agents, H heads, L stored heads of P numbers each: a weight [in, A] and a bias [A], or a whole
network where every head has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ascore.algorithms.graph import Pairs
from ascore.algorithms.heads import NOBODY, Heads
from ascore.learning.networks import Actor, StackedMLP
from ascore.learning.optimizer import AgentAdam
from ascore.runtime.ranks import Ranks

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

PARTS = ("parameters", "exp_avg", "exp_avg_sq")


class StoredHeads:
    """What is kept of every head that was ever trained: its parameters and moments.

    Attributes:
        key: i64 [L], owner * N + subject, ascending.
        parts: f32 [L, P], by the names of PARTS.
    """

    def __init__(self, num_agents: int, size: int) -> None:
        self.num_agents = num_agents
        self.key: I64 = np.zeros(0, dtype=np.int64)
        self.parts: dict[str, F32] = {name: np.zeros((0, size), dtype=np.float32) for name in PARTS}

    def keep(self, key: I64, parts: dict[str, F32]) -> None:
        """Takes in heads, in place of what was kept of them before."""
        key = np.concatenate([key, self.key])
        self.key, first = np.unique(key, return_index=True)  # the first of equal ones
        for name, before in self.parts.items():
            self.parts[name] = np.concatenate([parts[name], before])[first]

    def find(self, key: I64) -> tuple[npt.NDArray[np.bool_], I64]:
        """Which heads are kept, and where: bool and i64, as the argument."""
        at = np.searchsorted(self.key, key)
        here = np.zeros(len(key), dtype=np.bool_)
        inside = at < len(self.key)
        here[inside] = self.key[at[inside]] == key[inside]
        return here, at

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        tensors = {name: torch.from_numpy(part) for name, part in self.parts.items()}
        return {"key": torch.from_numpy(self.key), **tensors}

    def resize(self, key: npt.NDArray[Any]) -> None:
        """Makes room for what a checkpoint keeps, so that its arrays can be held against these.

        Raises:
            ValueError: the keys are not those of heads in their order.
        """
        most = self.num_agents**2
        rises = key.dtype == np.int64 and key.ndim == 1 and bool((np.diff(key) > 0).all())
        if not rises or (len(key) and not 0 <= key[0] <= key[-1] < most):
            message = f"heads.key does not list heads of {self.num_agents} agents in their order"
            raise ValueError(message)
        self.key = key.copy()
        for name, part in self.parts.items():
            self.parts[name] = np.zeros((len(key), part.shape[1]), dtype=np.float32)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restores `state()`."""
        self.key = state["key"].numpy().copy()
        self.parts = {name: state[name].numpy().copy() for name in PARTS}

    def complete(self, ranks: Ranks, mine: slice) -> None:
        """Takes over what other ranks have learned for the agents that are theirs."""
        own = self._of(mine)
        for name, part in self.parts.items():
            self.parts[name] = np.concatenate(ranks.everywhere(part[own]))

    def keep_only(self, mine: slice) -> None:
        """Forgets the heads of all but some agents."""
        own = self._of(mine)
        self.key = self.key[own]
        self.parts = {name: part[own] for name, part in self.parts.items()}

    def _of(self, owners: slice) -> npt.NDArray[np.bool_]:
        """Which heads are of some agents, bool [L]."""
        owner = self.key // max(self.num_agents, 1)
        inside: npt.NDArray[np.bool_] = (owner >= owners.start) & (owner < owners.stop)
        return inside


def head_size(actor: Actor) -> int:
    """P."""
    if actor.layout == "separate":
        return actor.net.flat.shape[1]
    return (actor.net.sizes[-2] + 1) * actor.num_actions


class HeadView:
    """The heads and trunks in a buffer f32 [K, P] that is laid out as an actor's parameters."""

    def __init__(self, actor: Actor, buffer: Tensor) -> None:
        n, h, a = actor.num_agents, actor.heads, actor.num_actions
        self._whole: Tensor | None = None
        flat = buffer.detach().view(actor.net.flat.shape)
        if actor.layout == "separate":
            self._whole = flat.view(n, h, -1)
            self.trunk = self._whole[:, 0, :0]  # each head has its own
            return
        weight, bias = actor.net.slots[-1]
        self.trunk = flat[:, : weight.start]
        self._weight = flat[:, weight].view(n, -1, h, a)
        self._bias = flat[:, bias].view(n, h, a)

    def read(self, owner: I64, place: I64) -> F32:
        """Some heads, f32 [L, P]."""
        i, h = torch.from_numpy(owner), torch.from_numpy(place)
        if self._whole is not None:
            return self._whole[i, h].cpu().numpy()
        weight, bias = self._weight[i, :, h], self._bias[i, h]
        return torch.cat([weight.flatten(1), bias], dim=1).cpu().numpy()

    def write(self, owner: I64, place: I64, heads: F32) -> None:
        """The way back."""
        i, h = torch.from_numpy(owner), torch.from_numpy(place)
        given = torch.from_numpy(heads)
        if self._whole is not None:
            self._whole[i, h] = given.to(self._whole.device)
            return
        _, n_in, _, size = self._weight.shape
        given = given.to(self._bias.device)
        self._weight[i, :, h] = given[:, :-size].view(len(i), n_in, size)
        self._bias[i, h] = given[:, -size:]


def keep_trained(actor: Actor, adam: AgentAdam, links: Pairs, store: StoredHeads) -> None:
    """Keeps the heads for the links that an update has trained, as they are after it."""
    listener, sender = links.listener, links.sender
    here = (listener >= actor.first) & (listener < actor.first + actor.num_agents)
    listener, sender = listener[here], sender[here]
    place = actor.subjects.place(listener, sender)
    buffers = (adam.parameters, adam.first, adam.second)
    heads = [HeadView(actor, buffer).read(listener - actor.first, place) for buffer in buffers]
    key = listener * store.num_agents + sender
    store.keep(key, dict(zip(PARTS, heads, strict=True)))


def reseat(
    actor: Actor,
    adam: AgentAdam,
    heads: Heads,
    links: Pairs,
    store: StoredHeads,
    optimizer: Callable[[StackedMLP], AgentAdam],
) -> AgentAdam:
    """Gives the actors other heads: those that are kept, or fresh ones.

    Args:
        actor: changed in place.
        adam: its optimiser.
        heads: from now on.
        links: those that will be trained. A head that is only to be sent has no moments, so that
            nothing moves it.
        store: where heads lie that are not in use.
        optimizer: makes one for other buffers.

    Returns:
        The optimiser of the new buffers.
    """
    n, first = store.num_agents, actor.first
    buffers = (adam.parameters, adam.first, adam.second)
    views = {name: HeadView(actor, x) for name, x in zip(PARTS, buffers, strict=True)}
    everybody, own_before = np.arange(actor.num_agents), actor.own_place
    own = {name: view.read(everybody, own_before) for name, view in views.items()}
    actor.replace_heads(heads)
    fresh = optimizer(actor.net)
    fresh.steps.copy_(adam.steps)
    fresh.lr = adam.lr
    subjects = heads.subjects[first : first + actor.num_agents]
    place, at = np.nonzero(subjects != NOBODY)
    owner, subject = first + place, subjects[place, at]
    others = owner != subject
    owner, at, subject = owner[others], at[others], subject[others]
    here, where = store.find(owner * n + subject)
    trained = np.isin(owner * n + subject, links.listener * n + links.sender)
    buffers = (fresh.parameters, fresh.first, fresh.second)
    with torch.no_grad():
        for name, buffer in zip(PARTS, buffers, strict=True):
            view = HeadView(actor, buffer)
            view.trunk.copy_(views[name].trunk)
            view.write(everybody, actor.own_place, own[name])
            known = here if name == "parameters" else here & trained
            view.write(owner[known] - first, at[known], store.parts[name][where[known]])
        parameters = HeadView(actor, fresh.parameters)
        if (~here).any():
            pairs = zip(owner[~here].tolist(), subject[~here].tolist(), strict=True)
            drawn = [actor.fresh_head(i, j) for i, j in pairs]
            parameters.write(owner[~here] - first, at[~here], np.stack(drawn))
    return fresh


def validated(subjects: npt.NDArray[Any], num_agents: int) -> Heads:
    """The heads that a checkpoint tells of.

    Raises:
        ValueError: they are not what heads can be.
    """
    n = num_agents
    if subjects.dtype != np.int64 or subjects.ndim != 2 or len(subjects) != n:
        message = f"actor.subjects is {subjects.dtype} {[*subjects.shape]}, want int64 [{n}, heads]"
        raise ValueError(message)
    filled = np.where(subjects == NOBODY, n, subjects)
    ascending = (np.diff(filled, axis=1) > 0) | (filled[:, 1:] == n)
    inside = ((filled >= 0) & (filled <= n)).all()
    own = (subjects == np.arange(n)[:, None]).sum(axis=1) == 1
    if not (inside and ascending.all() and own.all()):
        message = "actor.subjects does not list agents in ascending order, each with itself"
        raise ValueError(message)
    return Heads(subjects)
