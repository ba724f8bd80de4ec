"""Numba: loss, gradient on the logits and all statistics in one pass.

n owners, M rows, H heads, A actions. Same values as the objectives in PyTorch up to
rounding; those stay the reference, and the path of other devices.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ascore.algorithms.contract import Compiled
from ascore.algorithms.terms import Batch, LossTerms, Messages
from ascore.config import Config
from ascore.errors import ConfigError
from ascore.learning.backends import loops
from ascore.learning.backends.pytorch import PyTorchBackend


class KernelBackend(PyTorchBackend):
    """PyTorch's networks with a compiled loss."""

    def loss(
        self, logits: Tensor, batch: Batch, messages: Messages | None
    ) -> tuple[Tensor, LossTerms]:
        """The algorithm's compiled loss."""
        if self.algorithm.compiled is None:
            message = f"{self.algorithm.name} has no compiled loss"
            raise ConfigError(message)
        return compiled_loss(self.algorithm.compiled, logits, batch, messages, self.config)


def compiled_loss(
    compiled: Compiled, logits: Tensor, batch: Batch, messages: Messages | None, config: Config
) -> tuple[Tensor, LossTerms]:
    """The loss of an algorithm, minus the entropy bonus; as `anticipation_loss`."""
    if compiled == Compiled.ANTICIPATION and messages is not None:
        return anticipation_loss(logits, batch, messages, config)
    joint = compiled == Compiled.JOINT_RATIO
    return surrogate_loss(logits, batch, config, joint=joint)


def anticipation_loss(
    logits: Tensor, batch: Batch, sent: Messages, config: Config
) -> tuple[Tensor, LossTerms]:
    """Loss of Anticipation Sharing (Eq. 13-16), minus the entropy bonus.

    Args:
        logits: f32 [n, M, H, A]; contiguous, or contiguous with rows and subjects exchanged.
        batch: the rows.
        sent: the messages.
        config: penalties, ratios, clipping; `torch_threads` threads.

    Returns:
        loss f32 [n], differentiable by the logits; terms, detached, with `kl` and `clip_fraction`
        among the statistics.
    """
    printed = config.peer_ratio_reference == "anticipated"
    held = config.peer_ratio_clip
    low, high = (max(1.0 - held, 0.0), 1.0 + held) if held > 0 else (0.0, np.inf)
    heard = sent.neighbours.numpy()

    def run(flat: Any, strides: Any, gradient: Any, own: Any, totals: Any) -> Task:
        inputs = (
            flat,
            strides,
            sent.log_probs.numpy(),
            *_tables(batch, sent),
            batch.action.numpy(),
            _rows(batch.advantage),
            _rows(batch.old_log_probs),
            _rows(sent.old_policy),
            np.ascontiguousarray(heard),
            int(heard.shape[1] > 1),
            batch.owners.numpy(),
            (config.penalty_weight * batch.advantage_scale).numpy(),
            np.float32(config.clip_epsilon),
            (np.float32(low), np.float32(high)),
            np.float32(config.entropy_bonus),
            printed,
            config.discrepancy == "kl",
            config.penalty_gate == "indicator",
            gradient,
            own,
            totals,
        )
        return lambda first, last: loops.anticipation(first, last, *inputs)

    loss, own, sums = _Kernel.apply(logits, run, config.torch_threads)  # type: ignore[no-untyped-call]
    weight = config.penalty_weight * batch.advantage_scale.double()
    rows = batch.action.shape[0]
    links = sums[:, loops.LINKS].clamp(min=1.0)
    statistics = {
        "active_anticipation": sums[:, loops.PEER_ACTIVE] / links,
        "active_own": sums[:, loops.OWN_ACTIVE] / links,
        "discrepancy": sums[:, loops.GAP] / links,
        "peer_ratio": sums[:, loops.PEER_RATIO] / rows,
    }
    return _outcome(loss, own, sums, weight, rows, config, statistics)


def surrogate_loss(
    logits: Tensor, batch: Batch, config: Config, *, joint: bool = False
) -> tuple[Tensor, LossTerms]:
    """Clipped surrogate, minus the entropy bonus.

    Args:
        logits: f32 [n, M, H, A]; contiguous, or contiguous with rows and subjects exchanged.
        batch: the rows.
        config: clipping; `torch_threads` threads.
        joint: one ratio over all heads (policy sharing); else the owner's head alone.

    Returns:
        As `anticipation_loss`.
    """

    def run(flat: Any, strides: Any, gradient: Any, own: Any, totals: Any) -> Task:
        inputs = (
            flat,
            strides,
            batch.action.numpy(),
            _rows(batch.advantage),
            _rows(batch.old_log_probs),
            batch.owners.numpy(),
            (batch.own if logits.shape[2] > 1 else torch.zeros_like(batch.owners)).numpy(),
            logits.shape[2],
            logits.shape[3],
            joint,
            np.float32(config.clip_epsilon),
            np.float32(config.entropy_bonus),
            gradient,
            own,
            totals,
        )
        return lambda first, last: loops.surrogate_only(first, last, *inputs)

    loss, own, sums = _Kernel.apply(logits, run, config.torch_threads)  # type: ignore[no-untyped-call]
    none = torch.zeros(len(sums), dtype=torch.float64)
    return _outcome(loss, own, sums, none, batch.action.shape[0], config, {})


Task = Callable[[int, int], None]


class _Kernel(torch.autograd.Function):
    """Runs a kernel over chunks of rows; the gradient is there when the loss is."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, run: Any, threads: int) -> tuple[Tensor, Tensor, Tensor]:
        n, rows, _, _ = logits.shape
        flat, swapped = logits.detach(), not logits.is_contiguous()
        if swapped:
            flat = flat.transpose(1, 2)
        flat = flat.contiguous()
        gradient = torch.empty_like(flat)
        placed = flat.transpose(1, 2) if swapped else flat
        strides = placed.stride()[:3]
        chunks = -(-rows // loops.CHUNK)
        totals = torch.empty(chunks, n, loops.SUMS, dtype=torch.float64)
        own = torch.empty(n, rows)
        task = run(
            flat.numpy().reshape(-1),
            strides,
            gradient.numpy().reshape(-1),
            own.numpy(),
            totals.numpy(),
        )
        _share(task, chunks, threads)
        sums = totals.sum(dim=0)
        ctx.save_for_backward(gradient.transpose(1, 2) if swapped else gradient)
        ctx.mark_non_differentiable(own, sums)
        # The value is put together by the caller; this one carries the gradient.
        return torch.zeros(n), own, sums

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        if not bool((upstream == 1).all()):
            gradient = gradient * upstream[:, None, None, None]
        return gradient, None, None


def _outcome(
    carrier: Tensor,
    own: Tensor,
    sums: Tensor,
    weight: Tensor,
    rows: int,
    config: Config,
    statistics: dict[str, Tensor],
) -> tuple[Tensor, LossTerms]:
    policy = (sums[:, loops.POLICY] / rows).float()
    penalty = (weight * sums[:, loops.PENALTY] / rows).float()
    spread = (sums[:, loops.ENTROPY] / rows).float()
    everywhere = {
        "kl": sums[:, loops.KL] / rows,
        "clip_fraction": sums[:, loops.CLIPPED] / rows,
    }
    terms = LossTerms(
        policy=policy,
        penalty=penalty,
        entropy=spread,
        own_log_ratio=own,
        statistics={k: v.float() for k, v in {**statistics, **everywhere}.items()},
    )
    loss = carrier + (policy + penalty - config.entropy_bonus * spread)
    return loss, terms


def _tables(batch: Batch, sent: Messages) -> tuple[Any, Any, Any]:
    """Subjects and ways back of the owners' heads, i64 [n, H], and everybody's own, i64 [N].

    A head that no row hears through is not looked at.
    """
    agents, heads = len(sent.log_probs), sent.log_probs.shape[2]
    if batch.places is None or sent.places is None:
        everybody = np.arange(agents)
        owners = batch.owners.numpy()
        subjects = np.tile(everybody[:heads], (len(owners), 1))
        return subjects, np.tile(owners[:, None], heads), everybody
    return batch.places.subjects.numpy(), batch.places.back.numpy(), sent.places.own.numpy()


def _rows(x: Tensor) -> Any:
    return x.contiguous().numpy()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that wait at a lock between calls: none ever spins."""
    return ThreadPoolExecutor(threads, thread_name_prefix="ascore-loss")


def _share(task: Task, chunks: int, threads: int) -> None:
    """Runs the chunks on some threads, the caller's included; what they compute is theirs alone."""
    parts = min(threads, chunks)
    if parts <= 1:
        task(0, chunks)
        return
    bounds = [chunks * k // parts for k in range(parts + 1)]
    others = [_pool(threads - 1).submit(task, bounds[k], bounds[k + 1]) for k in range(1, parts)]
    task(bounds[0], bounds[1])
    for other in others:
        other.result()
