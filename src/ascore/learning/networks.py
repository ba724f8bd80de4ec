"""Stacked networks: K networks of equal sizes in one buffer, computed by batched products.

N agents, H heads per agent (`Heads`), M rows, O observation entries, A actions.
Agents never share parameters; row i of every buffer belongs to agent i alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from ascore.algorithms.heads import NOBODY, Heads
from ascore.envs.legal import ILLEGAL
from ascore.streams import STREAM_ACTOR, STREAM_CRITIC, generator

LARGEST = 4_000_000
"""Number of parameters above which a network is left to PyTorch; not measured beyond."""

ALL = slice(None)

F32 = npt.NDArray[np.float32]


class StackedMLP:
    """K ReLU networks O -> hidden -> out over one flat parameter buffer.

    Attributes:
        flat: f32 [K, P], all parameters; row k is network k.
        grad: f32 [K, P], gradients of the last step.
        layers: views (weight [K, in, out], bias [K, out]) of `flat`, leaves of the autograd graph.
        gradients: the same views of `grad`.
    """

    def __init__(
        self, count: int, sizes: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        self.sizes = tuple(sizes)
        self.slots = layer_slots(self.sizes)
        size = self.slots[-1][1].stop
        self.flat = torch.zeros(count, size, device=device)
        self.grad = torch.zeros_like(self.flat)
        self.layers = [(w.requires_grad_(), b.requires_grad_()) for w, b in self._views(self.flat)]
        self.gradients = self._views(self.grad)

    def place_gradient(self, buffer: Tensor) -> None:
        """Moves the gradient to f32 [K, P], part of a buffer that is summed over ranks."""
        self.grad = buffer
        self.gradients = self._views(buffer)

    def _views(self, buffer: Tensor) -> list[tuple[Tensor, Tensor]]:
        return layer_views(buffer, self.sizes)

    def __call__(self, obs: Tensor, networks: slice = ALL) -> Tensor:
        """Outputs of some networks.

        Args:
            obs: f32 [M, O] for all networks, or [k, M, O], one view per selected network.
            networks: the selected networks.

        Returns:
            f32 [k, M, out].
        """
        return forward([(w[networks], b[networks]) for w, b in self.layers], obs)


def forward(layers: Sequence[tuple[Tensor, Tensor]], obs: Tensor) -> Tensor:
    """Runs stacked layers; obs [M, O] or [k, M, O] -> [k, M, out]."""
    hidden = obs.expand(layers[0][0].shape[0], -1, -1)
    for index, (weight, bias) in enumerate(layers):
        hidden = torch.baddbmm(bias.unsqueeze(1), hidden, weight)
        if index + 1 < len(layers):
            hidden = torch.relu(hidden)
    return hidden


def parameters(sizes: Sequence[int]) -> int:
    """Number of parameters of a network with layers of these sizes, input first."""
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))


def layer_slots(sizes: Sequence[int]) -> list[tuple[slice, slice]]:
    """Slices of each layer's weight [in, out] and bias [out] in a network's row."""
    slots, at = [], 0
    for n_in, n_out in itertools.pairwise(sizes):
        middle = at + n_in * n_out
        slots.append((slice(at, middle), slice(middle, middle + n_out)))
        at = middle + n_out
    return slots


def layer_views(rows: Tensor, sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Views (weight [K, in, out], bias [K, out]) of the layers of networks in rows [K, P]."""
    count = len(rows)
    return [
        (rows[:, w].view(count, n_in, n_out), rows[:, b].view(count, n_out))
        for (w, b), n_in, n_out in zip(layer_slots(sizes), sizes, sizes[1:], strict=False)
    ]


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def orthogonal(
    rng: np.random.Generator, n_in: int, n_out: int, gain: float
) -> npt.NDArray[np.float32]:
    """Orthogonal matrix [in, out] times gain (Saxe et al. 2014)."""
    normal = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
    # More threads would gain nothing, round otherwise, and spin where others use the processors.
    with _libraries().limit(limits=1, user_api="blas"):
        q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))
    return np.ascontiguousarray(gain * (q if n_in >= n_out else q.T), dtype=np.float32)


class Actor:
    """Policies of N agents; with several heads, each also has policies for other agents.

    The additional policies are anticipations, or an agent's copy of a joint policy.

    `multihead`: per agent one trunk and one output block per subject (N networks).
    `separate`: one network per (owner, subject) (N H networks), the paper's layout.
    A policy starts from the same weights in both layouts, and whatever other heads there are.
    Empty heads are 0, and no gradient moves them.

    Outputs for actions that an agent lacks have weights 0 and a bias that makes their probability
    exactly 0; since no gradient moves them, they stay so. The others start as without them.
    """

    def __init__(
        self,
        obs_size: int,
        hidden: Sequence[int],
        num_agents: int,
        num_actions: int,
        *,
        head_per_agent: bool,
        layout: str,
        seed: int,
        device: torch.device | str = "cpu",
        action_counts: Sequence[int] = (),
        subjects: Heads | None = None,
        members: slice = ALL,
    ) -> None:
        """Networks with fresh weights.

        Args:
            obs_size: O.
            hidden: units of the hidden layers.
            num_agents: N.
            num_actions: A, of the agent that has most.
            head_per_agent: whether there are heads for other agents.
            layout: multihead or separate.
            seed: keys the weights.
            device: where they lie.
            action_counts: of every agent; () = all have A.
            subjects: with `head_per_agent`, whose the heads are; None = everybody's.
            members: whose networks these are, n of the N agents.
        """
        self.first, last, _ = members.indices(num_agents)
        self.num_agents, self.num_actions = last - self.first, num_actions
        self.action_counts = tuple(action_counts) or (num_actions,) * num_agents
        self.seed, self.layout = seed, layout
        everybody = Heads.everybody if head_per_agent else Heads.own
        self.subjects = everybody(num_agents) if subjects is None else subjects
        self._own_columns: Tensor | None = None  # i64 [N, (in + 1) A], of the last layers
        sizes = (obs_size, *hidden, num_actions * self._heads_per_network)
        self.net = StackedMLP(self.num_agents * self.networks_per_agent, sizes, device)
        with torch.no_grad():
            for k in range(self.net.flat.shape[0]):
                self._initialise(k)

    @property
    def heads(self) -> int:
        """H."""
        return len(self.subjects)

    @property
    def own_place(self) -> npt.NDArray[np.int64]:
        """Which head is the own policy, i64 [n]."""
        place = self.subjects.own_place[self.first : self.first + self.num_agents]
        return place

    @property
    def networks_per_agent(self) -> int:
        """1, or H where each head has a trunk of its own."""
        return 1 if self.layout == "multihead" else self.heads

    @property
    def _heads_per_network(self) -> int:
        return self.heads if self.layout == "multihead" else 1

    def _initialise(self, k: int) -> None:
        """Draws the weights of network k."""
        sizes, last = self.net.sizes, len(self.net.sizes) - 2
        agent, offset = divmod(k, self.networks_per_agent)
        agent += self.first
        subjects = self.subjects.subjects[agent].tolist()
        if self.layout == "separate":
            subjects = subjects[offset : offset + 1]
        trunk = agent if self.layout == "multihead" else subjects[0]
        if trunk == NOBODY:
            return
        for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            weight, bias = (part[k] for part in self.net.layers[layer])
            if layer < last:
                rng = generator(self.seed, STREAM_ACTOR, layer, trunk, agent)
                weight.copy_(torch.from_numpy(orthogonal(rng, n_in, n_out, math.sqrt(2.0))))
                continue
            blocks = weight.view(n_in, -1, self.num_actions)
            biases = bias.view(-1, self.num_actions)
            for block, subject in enumerate(subjects):
                if subject == NOBODY:
                    continue
                start, nothing = self._last_layer(agent, subject)
                blocks[:, block].copy_(torch.from_numpy(start))
                biases[block].copy_(torch.from_numpy(nothing))

    def _last_layer(self, agent: int, subject: int) -> tuple[F32, F32]:
        """First weight [in, A] and bias [A] of an agent's head for a subject.

        Nearly uniform at the start, so that all actions are tried.
        """
        n_in, count = self.net.sizes[-2], self.action_counts[subject]
        rng = generator(self.seed, STREAM_ACTOR, len(self.net.sizes) - 2, subject, agent)
        weight = np.zeros((n_in, self.num_actions), dtype=np.float32)
        bias = np.zeros(self.num_actions, dtype=np.float32)
        weight[:, :count] = orthogonal(rng, n_in, count, 0.01)
        bias[count:] = ILLEGAL
        return weight, bias

    def fresh_head(self, agent: int, subject: int) -> F32:
        """First parameters of an agent's head for a subject: f32 [P] of `stored_heads`."""
        layers = []
        if self.layout == "separate":
            for layer, (n_in, n_out) in enumerate(itertools.pairwise(self.net.sizes[:-1])):
                rng = generator(self.seed, STREAM_ACTOR, layer, subject, agent)
                weight = orthogonal(rng, n_in, n_out, math.sqrt(2.0))
                layers += [weight.ravel(), np.zeros(n_out, dtype=np.float32)]
        layers += [part.ravel() for part in self._last_layer(agent, subject)]
        return np.concatenate(layers)

    def replace_heads(self, subjects: Heads) -> None:
        """Makes room for other heads; all parameters are 0 until they are written."""
        self.subjects, self._own_columns = subjects, None
        sizes = (*self.net.sizes[:-1], self.num_actions * self._heads_per_network)
        count, device = self.num_agents * self.networks_per_agent, self.net.flat.device
        self.net = StackedMLP(count, sizes, device)

    @property
    def lacking(self) -> int:
        """Parameters of one agent's heads for actions that their subjects lack.

        Of agents that have a head for everybody; others send no heads.
        """
        if self.heads == 1 or not self.subjects.for_all:
            return 0
        return sum(self.num_actions - count for count in self.action_counts) * (
            self.net.sizes[-2] + 1
        )

    def log_probs(self, obs: Tensor, owners: slice = ALL) -> Tensor:
        """Log pi^{ij}(.|s) of some owners: obs [M, O] or [n, M, O] -> f32 [n, M, H, A]."""
        logits = self.logits(obs, owners)
        return torch.log_softmax(logits, dim=-1)

    def logits(self, obs: Tensor, owners: slice = ALL) -> Tensor:
        """Logits before the softmax: f32 [n, M, H, A]."""
        start, stop, _ = owners.indices(self.num_agents)
        step = self.networks_per_agent
        rows = obs.shape[-2]
        if obs.dim() == 3 and step > 1:
            obs = obs.repeat_interleave(step, dim=0)
        out = self.net(obs, slice(start * step, stop * step))
        if self.layout == "multihead":
            return out.view(stop - start, rows, self.heads, self.num_actions)
        return out.view(stop - start, self.heads, rows, self.num_actions).transpose(1, 2)

    def own_layers(self) -> list[tuple[Tensor, Tensor]]:
        """Layers of the N own policies, for acting; copies if heads must be selected."""
        n, a = self.num_agents, self.num_actions
        index = torch.arange(n)
        if self.heads == 1:
            return [(w.detach(), b.detach()) for w, b in self.net.layers]
        place = torch.from_numpy(self.own_place)
        if self.layout == "separate":
            pick = index * self.heads + place
            return [(w.detach()[pick], b.detach()[pick]) for w, b in self.net.layers]
        weight, bias = self.net.layers[-1]
        heads = (
            weight.detach().view(n, -1, self.heads, a)[index, :, place],
            bias.detach().view(n, self.heads, a)[index, place],
        )
        return [*((w.detach(), b.detach()) for w, b in self.net.layers[:-1]), heads]

    def own_flat(self) -> Tensor:
        """`own_layers` as rows f32 [N, P]: per layer the weight, then the bias.

        A view of the buffer if own policies are whole networks, else a copy.
        """
        n, a, flat = self.num_agents, self.num_actions, self.net.flat
        if self.heads == 1:
            return flat
        if self.layout == "separate":
            return flat[torch.arange(n) * self.heads + torch.from_numpy(self.own_place)]
        start = self.net.slots[-1][0].start
        if self._own_columns is None:  # the bias is one more row of the weight
            row = torch.arange(self.net.sizes[-2] + 1)[:, None] * self.heads
            block = row + torch.from_numpy(self.own_place)[:, None, None]
            columns = (block * a + torch.arange(a)).view(n, -1)
            self._own_columns = columns.to(flat.device)
        own = flat[:, start:].gather(1, self._own_columns)
        return torch.cat((flat[:, :start], own), dim=1)

    def anticipations(self, of: Tensor | None = None) -> tuple[slice, Tensor]:
        """Columns C of f32 [N, P], and which of them only anticipations use: bool [N, C].

        Args:
            of: which anticipations, as in `anticipation_mask`.
        """
        mask = self.anticipation_mask(of).view(self.num_agents, -1)
        if self.layout == "separate":
            return ALL, mask
        first = self.net.slots[-1][0].start
        return slice(first, None), mask[:, first:]

    def anticipation_mask(self, of: Tensor | None = None) -> Tensor:
        """Bool [K, P]: parameters that only anticipations use; none if H = 1.

        Args:
            of: which anticipations, bool [N, H] at [owner, head]; None = all.
        """
        mask = torch.zeros_like(self.net.flat, dtype=torch.bool)
        if self.heads == 1:
            return mask
        n, a, h = self.num_agents, self.num_actions, self.heads
        peer = torch.from_numpy(np.arange(h) != self.own_place[:, None])
        if of is not None:
            peer &= of
        if self.layout == "separate":
            mask[peer.view(-1)] = True
            return mask
        w, b = self.net.slots[-1]
        mask[:, w] = peer[:, None, :, None].expand(n, self.net.sizes[-2], h, a).reshape(n, -1)
        mask[:, b] = peer[:, :, None].expand(n, h, a).reshape(n, -1)
        return mask


class Critic:
    """N value networks V_i(s) with separate parameters."""

    def __init__(
        self,
        obs_size: int,
        hidden: Sequence[int],
        num_agents: int,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        members: slice = ALL,
        stream: int = STREAM_CRITIC,
    ) -> None:
        whose = range(num_agents)[members]
        self.net = StackedMLP(len(whose), (obs_size, *hidden, 1), device)
        sizes, last = self.net.sizes, len(self.net.sizes) - 2
        with torch.no_grad():
            for place, agent in enumerate(whose):
                for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
                    rng = generator(seed, stream, layer, 0, agent)
                    gain = math.sqrt(2.0) if layer < last else 1.0
                    weight = orthogonal(rng, n_in, n_out, gain)
                    self.net.layers[layer][0][place].copy_(torch.from_numpy(weight))

    def __call__(self, obs: Tensor, owners: slice = ALL) -> Tensor:
        """Normalised values: obs [M, O] or [n, M, O] -> f32 [n, M]."""
        return self.net(obs, owners).squeeze(-1)
