"""The loops, compiled by Numba: tiles of rows, each lane of a vector register one row.

Axes: i owner, m row, j subject, a action. A tile holds LANES consecutive rows with the row as its
last axis, so every step is the same arithmetic on all lanes: no step looks across them, and a tile
that is not full computes on padding that is never summed. What is summed over rows is summed in an
order that depends on the number of rows alone.

Everything compiled lives in this file: Numba's cache knows a function by the file it stands in, and
would miss a change of what it calls elsewhere. Importing this module imports Numba.

Contraction (one rounding for a * b + c) is allowed, nothing else of fast arithmetic is: not a
number stays one, and infinities are what IEEE 754 says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

LANES = 64
"""Rows of a tile: a few vector registers, and the tiles of one owner stay near the core."""
CHUNK = 256
"""Rows of a task, the unit that threads share."""

SUMS = 10
POLICY, PENALTY, ENTROPY, PEER_ACTIVE, OWN_ACTIVE, GAP, LINKS, PEER_RATIO, KL, CLIPPED = range(SUMS)
"""What is summed over the rows of a chunk, per owner."""

inline = njit(error_model="numpy", fastmath={"contract"}, forceinline=True)


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compiles at the first call, and keeps the result on disk where there is a place for it."""
    options = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
    try:
        kept: Callable[..., None] = njit(function, cache=True, **options)
    except RuntimeError:  # neither the package nor the user's cache folder can be written
        kept = njit(function, **options)
    return kept


ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

# ---- exponential and logarithm -------------------------------------------------------------------

_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # 10 bits, so that n times it is exact
_LN2_LOW = np.float32(-2.12194440054690583e-4)  # ln 2 - _LN2_HIGH
_ROUND = np.float32(1.5 * 2**23)  # adding it leaves a whole number in the low bits
_LARGEST = np.float32(89.0)  # exp is infinite from 88.73 on
_LEAST = np.float32(-104.0)  # and rounds to 0 below -103.98

# Minimax fits in relative error, found by reweighted least squares.
# e^r = 1 + r + r^2 E(r) for |r| <= ln(2) / 2, to 3.1e-9.
_E0, _E1, _E2, _E3, _E4 = np.array(
    [0.49999994, 0.16666521, 0.04166839, 0.008368745, 0.001381454], dtype=np.float32
)
# log(1 + f) = f - f^2 / 2 + f^3 L(f) for sqrt(1/2) <= 1 + f < sqrt(2), to 5.9e-9.
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = np.array(
    [
        0.3333333134651184, -0.2500081956386566, 0.20001226663589478, -0.16623356938362122,
        0.14201757311820984, -0.13160182535648346, 0.1276157796382904, -0.07634497433900833,
    ],
    dtype=np.float32,
)  # fmt: skip

_BITS = ir.IntType(32)
_FLOAT = ir.FloatType()


@intrinsic
def scaled(typing_context: Any, y: Any, shifted: Any) -> Any:
    """Returns y * 2^n, where n is the whole number in the low bits of n + 1.5 * 2^23.

    Over- and underflows. In two factors: neither is out of range although their product may be.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        y, shifted = args
        offset = ir.Constant(_BITS, int(_ROUND.view(np.int32)))
        n = builder.sub(builder.bitcast(shifted, _BITS), offset)
        first = builder.ashr(n, ir.Constant(_BITS, 1))
        for part in (first, builder.sub(n, first)):
            biased = builder.add(part, ir.Constant(_BITS, 127))
            factor = builder.shl(biased, ir.Constant(_BITS, 23))
            y = builder.fmul(y, builder.bitcast(factor, _FLOAT))
        return y

    return types.float32(types.float32, types.float32), build


@intrinsic
def mantissa_and_exponent(typing_context: Any, x: Any) -> Any:
    """(f, e) with x = f * 2^e and sqrt(1/2) <= f < sqrt(2), for normal positive x."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], _BITS)
        offset = ir.Constant(_BITS, int(np.float32(np.sqrt(0.5)).view(np.int32)))
        shift = ir.Constant(_BITS, 23)
        exponent = builder.ashr(builder.sub(bits, offset), shift)
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, shift)), _FLOAT)
        whole = builder.sitofp(exponent, _FLOAT)
        return context.make_tuple(builder, signature.return_type, (mantissa, whole))

    return types.UniTuple(types.float32, 2)(types.float32), build


@inline
def exp(x: np.float32) -> np.float32:
    """Exponential within 2 units in the last place; not a number stays one."""
    x = _LARGEST if x > _LARGEST else x
    x = _LEAST if x < _LEAST else x
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    tail = (((_E4 * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return scaled((tail * r) * r + r + ONE, shifted)


@inline
def log(x: np.float32) -> np.float32:
    """Natural logarithm within 2 units in the last place, for normal x > 0; inf gives NaN."""
    mantissa, e = mantissa_and_exponent(x)
    f = mantissa - ONE
    tail = ((((((_L7 * f + _L6) * f + _L5) * f + _L4) * f + _L3) * f + _L2) * f + _L1) * f + _L0
    square = f * f
    low = e * _LN2_LOW + (square * f) * tail
    return e * _LN2_HIGH + (f + (low - HALF * square)) + (x - x)


# ---- tiles: [slots, A, LANES], or [slots, LANES] -------------------------------------------------


def _element(context: Any, builder: Any, kind: Any, array: Any, *index: Any) -> Any:
    """Address of array[index], C-contiguous, without the checks of negative numbers."""
    view = context.make_array(kind)(context, builder, array)
    shape = cgutils.unpack_tuple(builder, view.shape)
    at = index[0]
    for size, following in zip(shape[1:], index[1:], strict=True):
        at = builder.add(builder.mul(at, size), following)
    return builder.gep(view.data, [at])


def _quads(builder: Any, rows: list[Any]) -> list[Any]:
    """Transposes four vectors of four."""

    def shuffle(a: Any, b: Any, *pick: int) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_BITS, 4), pick))

    low = [shuffle(rows[k], rows[k + 1], 0, 4, 1, 5) for k in (0, 2)]
    high = [shuffle(rows[k], rows[k + 1], 2, 6, 3, 7) for k in (0, 2)]
    return [
        shuffle(*low, 0, 1, 4, 5),
        shuffle(*low, 2, 3, 6, 7),
        shuffle(*high, 0, 1, 4, 5),
        shuffle(*high, 2, 3, 6, 7),
    ]


def _block(typing_context: Any, flat: Any, start: Any, stride: Any, tile: Any, slot: Any, a: Any,
           r: Any, inward: bool) -> Any:  # fmt: skip
    """Four rows by four actions between a tile and rows of numbers, in vector registers."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flat_kind, tile_kind = signature.args[0], signature.args[3]
        flat, start, stride, tile, slot, a, r = args
        quad = ir.VectorType(_FLOAT, 4).as_pointer()
        whole = start.type
        outside, inside = [], []
        for k in range(4):
            step = ir.Constant(whole, k)
            at = builder.add(start, builder.mul(step, stride))
            outside.append(_element(context, builder, flat_kind, flat, at))
            action = builder.add(a, step)
            inside.append(_element(context, builder, tile_kind, tile, slot, action, r))
        source, target = (outside, inside) if inward else (inside, outside)
        rows = []
        for place in source:
            load = builder.load(builder.bitcast(place, quad))
            load.align = 4
            rows.append(load)
        for place, row in zip(target, _quads(builder, rows), strict=True):
            builder.store(row, builder.bitcast(place, quad)).align = 4
        return context.get_dummy_value()

    i = types.intp
    return types.void(flat, i, i, tile, i, i, i), build


@intrinsic
def block_in(typing_context: Any, flat: Any, start: Any, stride: Any, tile: Any, slot: Any, a: Any,
             r: Any) -> Any:  # fmt: skip
    """Four rows by four actions into a tile, at [slot, a:a+4, r:r+4]."""
    return _block(typing_context, flat, start, stride, tile, slot, a, r, True)


@intrinsic
def block_out(typing_context: Any, flat: Any, start: Any, stride: Any, tile: Any, slot: Any, a: Any,
              r: Any) -> Any:  # fmt: skip
    """The way back."""
    return _block(typing_context, flat, start, stride, tile, slot, a, r, False)


@inline
def load(flat: F32, start: int, stride: int, rows: int, tile: F32, slot: int) -> None:
    """Transposes rows of A numbers, `stride` apart, into a tile; lanes without a row are 0."""
    actions = tile.shape[1]
    done = 0
    if actions >= 4:
        done = rows // 4 * 4
        for r in range(0, done, 4):
            at = start + r * stride
            for a in range(0, actions - 3, 4):
                block_in(flat, at + a, stride, tile, slot, a, r)
            if actions % 4:
                block_in(flat, at + actions - 4, stride, tile, slot, actions - 4, r)
    for r in range(done, rows):
        at = start + r * stride
        for a in range(actions):
            tile[slot, a, r] = flat[at + a]
    if rows < LANES:
        for a in range(actions):
            for r in range(rows, LANES):
                tile[slot, a, r] = ZERO


@inline
def store(tile: F32, slot: int, flat: F32, start: int, stride: int, rows: int) -> None:
    """The way back."""
    actions = tile.shape[1]
    done = 0
    if actions >= 4:
        done = rows // 4 * 4
        for r in range(0, done, 4):
            at = start + r * stride
            for a in range(0, actions - 3, 4):
                block_out(flat, at + a, stride, tile, slot, a, r)
            if actions % 4:
                block_out(flat, at + actions - 4, stride, tile, slot, actions - 4, r)
    for r in range(done, rows):
        at = start + r * stride
        for a in range(actions):
            flat[at + a] = tile[slot, a, r]


@inline
def log_softmax(x: F32, p: F32, slot: int, peak: F32, total: F32, inverse: F32) -> None:
    """Turns logits into log-probabilities in place, and writes probabilities.

    What was subtracted is left behind: `peak`, and then `total`.
    """
    for r in range(LANES):
        peak[r] = x[slot, 0, r]
        total[r] = ZERO
    for a in range(1, x.shape[1]):
        for r in range(LANES):
            peak[r] = max(x[slot, a, r], peak[r])
    for a in range(x.shape[1]):
        for r in range(LANES):
            shifted = x[slot, a, r] - peak[r]
            e = exp(shifted)
            x[slot, a, r] = shifted
            p[slot, a, r] = e
            total[r] += e
    for r in range(LANES):
        logarithm = log(total[r])
        inverse[r] = ONE / total[r]
        total[r] = logarithm
    for a in range(x.shape[1]):
        for r in range(LANES):
            x[slot, a, r] -= total[r]
            p[slot, a, r] *= inverse[r]


@inline
def pick(
    flat: F32, start: int, stride: int, action: I32, subject: int, rows: int, out: F32
) -> None:
    """out[r] = the number of row r at its action[subject, r]; 0 without a row."""
    for r in range(rows):
        out[r] = flat[start + r * stride + action[subject, r]]
    for r in range(rows, LANES):
        out[r] = ZERO


@inline
def normalise(out: F32, peak: F32, total: F32) -> None:
    """Logits that were picked to log-probabilities, as `log_softmax` rounds them."""
    for r in range(LANES):
        out[r] = (out[r] - peak[r]) - total[r]


@inline
def gate(
    new: F32, received: F32, advantage: F32, heard: F32, subject: int, gated: bool, out: F32
) -> None:
    """Indicator of Eq. 14-15 as 0 or 1: ratio * A >= A, decided on signs; 0 where not heard."""
    for r in range(LANES):
        out[r] = heard[subject, r]
    if gated:
        for r in range(LANES):
            gap, size = new[r] - received[r], advantage[r]
            rises = (size > ZERO) & (gap >= ZERO)
            falls = (size < ZERO) & (gap <= ZERO)
            out[r] = out[r] if rises | falls | (size == ZERO) else ZERO


@inline
def pull_l2(p: F32, i: int, q: F32, j: int, active: F32, pull: F32, distance: F32) -> None:
    """Writes distance = |p - q|^2, and pull += p - q where active."""
    for r in range(LANES):
        distance[r] = ZERO
    for a in range(p.shape[1]):
        for r in range(LANES):
            gap = p[i, a, r] - q[j, a, r]
            distance[r] += gap * gap
            pull[a, r] += gap if active[r] > ZERO else ZERO


@inline
def pull_kl(
    log_p: F32, i: int, q: F32, log_q: F32, j: int, active: F32, pull: F32, distance: F32
) -> None:
    """Writes distance = KL(q || p), and pull -= q where active."""
    for r in range(LANES):
        distance[r] = ZERO
    for a in range(q.shape[1]):
        for r in range(LANES):
            distance[r] += q[j, a, r] * (log_q[j, a, r] - log_p[i, a, r])
            pull[a, r] -= q[j, a, r] if active[r] > ZERO else ZERO


@inline
def push(
    p: F32, i: int, pull: F32, weight: np.float32, kl: bool, gradient: F32, total: F32
) -> None:
    """Gradient on the logits: weight * (2 p (d - p.d)) of L2, weight * (d - p sum(d)) of KL.

    With d what `pull` has summed over the messages. Ends with `pull` cleared.
    """
    for r in range(LANES):
        total[r] = ZERO
    for a in range(p.shape[1]):
        for r in range(LANES):
            total[r] += pull[a, r] if kl else pull[a, r] * p[i, a, r]
    for a in range(p.shape[1]):
        for r in range(LANES):
            inner = pull[a, r] - total[r] * p[i, a, r]
            outer = TWO * p[i, a, r] * (pull[a, r] - total[r])
            gradient[i, a, r] = weight * (inner if kl else outer)
            pull[a, r] = ZERO


@inline
def step(p: F32, slot: int, action: I32, subject: int, slope: F32, gradient: F32) -> None:
    """Gradient of slope * log p(a) of the action taken, added: slope * (1[a taken] - p)."""
    for a in range(p.shape[1]):
        for r in range(LANES):
            one = ONE if action[subject, r] == a else ZERO
            gradient[slot, a, r] += slope[r] * (one - p[slot, a, r])


@inline
def entropy(p: F32, log_p: F32, slot: int, rows: int, out: F32, sums: F32) -> None:
    """Entropy in nats, and its sum over rows."""
    for r in range(LANES):
        out[r] = ZERO
    for a in range(p.shape[1]):
        for r in range(LANES):
            out[r] -= p[slot, a, r] * log_p[slot, a, r]
    for r in range(LANES):
        sums[ENTROPY, r] += out[r] if r < rows else ZERO


@inline
def spread(p: F32, log_p: F32, slot: int, entropy: F32, weight: np.float32, gradient: F32) -> None:
    """Gradient of -weight * entropy, added: weight * p (log p + entropy)."""
    for a in range(p.shape[1]):
        for r in range(LANES):
            gradient[slot, a, r] += weight * p[slot, a, r] * (log_p[slot, a, r] + entropy[r])


@inline
def surrogate(
    log_ratio: F32,
    log_peers: F32,
    advantage: F32,
    rows: int,
    batch: np.float32,
    clip: np.float32,
    peer_low: np.float32,
    peer_high: np.float32,
    own_slope: F32,
    peer_slope: F32,
    sums: F32,
) -> None:
    """The first term of Eq. 16 and its derivatives by both log ratios, negated, over all rows.

    What is clipped is decided on the ratio. Outside, as torch.minimum has it, the smaller product
    gets the gradient, and halves of it go to equal ones.
    """
    low, high = ONE - clip, ONE + clip
    each = -ONE / batch
    for r in range(LANES):
        ratio, raw = exp(log_ratio[r]), exp(log_peers[r])
        peers = peer_low if raw < peer_low else raw
        peers = peer_high if peers > peer_high else peers
        bounded = low if ratio < low else ratio
        bounded = high if bounded > high else bounded
        inside = (ratio >= low) & (ratio <= high)
        free = (raw >= peer_low) & (raw <= peer_high)

        weighted = peers * advantage[r]
        first, second = ratio * weighted, bounded * weighted
        least = first if first < second else second
        least = first if first != first else least
        share = HALF if first == second else ZERO
        share = ONE if first < second else share
        factor = share * ratio + (ONE - share) * bounded
        share = ONE if inside else share
        factor = ratio if inside else factor

        own_slope[r] = each * weighted * share * ratio
        peer_slope[r] = (each * factor * advantage[r] if free else ZERO) * raw
        beyond = ONE if abs(ratio - ONE) > clip else ZERO
        excess = ratio - ONE - log_ratio[r]
        live = r < rows
        sums[POLICY, r] -= least if live else ZERO
        sums[PEER_RATIO, r] += peers if live else ZERO
        sums[KL, r] += excess if live else ZERO
        sums[CLIPPED, r] += beyond if live else ZERO


@inline
def count(x: F32, sums: F32, which: int) -> None:
    """Adds one value per row."""
    for r in range(LANES):
        sums[which, r] += x[r]


@inline
def count_where(active: F32, x: F32, sums: F32, which: int) -> None:
    """Adds one value per row where active."""
    for r in range(LANES):
        sums[which, r] += x[r] if active[r] > ZERO else ZERO


@inline
def gather(sums: F32, totals: F64) -> None:
    """Adds the lanes, in order."""
    for k in range(sums.shape[0]):
        for s in range(SUMS):
            total = 0.0
            for r in range(LANES):
                total += sums[k, s, r]
            totals[k, s] = total


@compiled
def anticipation(
    first: int,
    last: int,
    logits: F32,
    strides: tuple[int, int, int],
    sent: F32,
    subjects: I64,
    back: I64,
    own_place: I64,
    action: I64,
    advantage: F32,
    old: F32,
    old_policy: F32,
    heard: Bool,
    heard_step: int,
    owners: I64,
    weight: F32,
    clip: np.float32,
    peer_range: tuple[np.float32, np.float32],
    bonus: np.float32,
    printed: bool,
    kl: bool,
    gated: bool,
    gradient: F32,
    own_log_ratio: F32,
    totals: F64,
) -> None:
    """Eq. 13-16 on some chunks of rows.

    Args:
        first: chunk to begin with.
        last: chunk to end before.
        logits: f32, [n, M, H, A] laid out by `strides`, actions adjacent.
        strides: of owner, row and head, in numbers.
        sent: f32 [N, M, H, A], log-probabilities that were sent.
        subjects: i64 [n, H], of whom the owners' heads are.
        back: i64 [n, H], which head of the subject is of the owner.
        own_place: i64 [N], which head is an agent's own.
        action: i64 [M, N].
        advantage: f32 [n, M].
        old: f32 [n, M, H], log pi_old^{ij}(a_j|s).
        old_policy: f32 [M, N], log pi_old^{jj}(a_j|s).
        heard: bool [n, M, H], or [n, 1, H] when it is the same at every row.
        heard_step: 1, or 0 for the latter.
        owners: i64 [n].
        weight: f32 [n], of the penalties: rho kappa.
        clip: epsilon.
        peer_range: what the peer ratio is held within.
        bonus: factor of the entropy.
        printed: the peer ratio is Eq. 13's.
        kl: the distance is KL(received || own), not squared L2.
        gated: penalties act where Eq. 14-15 say.
        gradient: out, f32, as `logits`: of the sum of the losses.
        own_log_ratio: out, f32 [n, M].
        totals: out, f64 [chunks, n, SUMS].
    """
    n, rows_all = advantage.shape
    agents, heads, actions = sent.shape[0], sent.shape[2], sent.shape[3]
    batch = np.float32(rows_all)
    per_owner, per_row, per_head = strides
    sent_row = heads * actions
    sent_flat = sent.reshape(-1)

    x = np.empty((heads, actions, LANES), np.float32)
    p = np.empty((heads, actions, LANES), np.float32)
    slope = np.empty((heads, actions, LANES), np.float32)
    log_policy = np.empty((agents, actions, LANES), np.float32)
    policy = np.empty((agents, actions, LANES), np.float32)
    log_wish = np.empty((1, actions, LANES), np.float32)
    wish = np.empty((1, actions, LANES), np.float32)
    pull = np.zeros((actions, LANES), np.float32)
    acted = np.empty((agents, LANES), np.int32)
    hears = np.empty((heads, LANES), np.float32)
    policy_taken = np.empty((agents, LANES), np.float32)
    announced = np.zeros((agents, LANES), np.float32)
    work = np.zeros((14, LANES), np.float32)
    peak, total, new, own_new, theirs = work[0], work[1], work[2], work[3], work[4]
    active, distance, log_ratio, log_peers = work[5], work[6], work[7], work[8]
    gain, own_slope, peer_slope = work[9], work[10], work[11]
    inverse, reference = work[12], work[13]
    owner_sums = np.empty((n, SUMS, LANES), np.float32)
    anyone = np.empty(heads, np.bool_)

    for chunk in range(first, last):
        stop = min(rows_all, (chunk + 1) * CHUNK)
        owner_sums[:] = ZERO
        for start in range(chunk * CHUNK, stop, LANES):
            rows = min(LANES, stop - start)
            for j in range(agents):
                for r in range(LANES):
                    acted[j, r] = action[start + r, j] if r < rows else 0
                where = (j * rows_all + start) * sent_row + own_place[j] * actions
                load(sent_flat, where, sent_row, rows, log_policy, j)
                pick(sent_flat, where, sent_row, acted, j, rows, policy_taken[j])
                for r in range(rows):
                    announced[j, r] = old_policy[start + r, j]
                for a in range(actions):
                    for r in range(LANES):
                        policy[j, a, r] = exp(log_policy[j, a, r])
            for k in range(n):
                i, own = owners[k], own_place[owners[k]]
                at = k * per_owner + start * per_row
                sums = owner_sums[k]
                for h in range(heads):
                    anyone[h] = heard[k, start * heard_step, h]
                    value = ONE if anyone[h] else ZERO
                    for r in range(LANES):
                        hears[h, r] = value if r < rows else ZERO
                    if heard_step:
                        for r in range(rows):
                            link = heard[k, start + r, h]
                            hears[h, r] = ONE if link else ZERO
                            anyone[h] |= link
                for r in range(LANES):
                    gain[r] = advantage[k, start + r] if r < rows else ZERO
                    log_peers[r] = ZERO

                # The own head, held against what others wish of it.
                where = at + own * per_head
                load(logits, where, per_row, rows, x, own)
                log_softmax(x, p, own, peak, total, inverse)
                pick(logits, where, per_row, acted, i, rows, own_new)
                normalise(own_new, peak, total)
                for r in range(LANES):
                    log_ratio[r] = own_new[r] - (old[k, start + r, own] if r < rows else own_new[r])
                for r in range(rows):
                    own_log_ratio[k, start + r] = log_ratio[r]
                for h in range(heads):
                    if not anyone[h]:
                        continue
                    where = (subjects[k, h] * rows_all + start) * sent_row + back[k, h] * actions
                    load(sent_flat, where, sent_row, rows, log_wish, 0)
                    for a in range(actions):
                        for r in range(LANES):
                            wish[0, a, r] = exp(log_wish[0, a, r])
                    pick(sent_flat, where, sent_row, acted, i, rows, theirs)
                    gate(own_new, theirs, gain, hears, h, gated, active)
                    count(active, sums, OWN_ACTIVE)
                    if kl:
                        pull_kl(x, own, wish, log_wish, 0, active, pull, distance)
                    else:
                        pull_l2(p, own, wish, 0, active, pull, distance)
                    count_where(active, distance, sums, PENALTY)
                push(p, own, pull, weight[k] / batch, kl, slope, total)
                entropy(p, x, own, rows, total, sums)
                if bonus > ZERO:
                    spread(p, x, own, total, bonus / batch, slope)

                # The anticipations, held against the policies of their subjects.
                for h in range(heads):
                    if not anyone[h]:
                        continue
                    j = subjects[k, h]
                    where = at + h * per_head
                    load(logits, where, per_row, rows, x, h)
                    log_softmax(x, p, h, peak, total, inverse)
                    pick(logits, where, per_row, acted, j, rows, new)
                    normalise(new, peak, total)
                    if printed:
                        for r in range(rows):
                            reference[r] = old[k, start + r, h]
                    else:
                        for r in range(LANES):
                            reference[r] = announced[j, r]
                    for r in range(LANES):
                        log_peers[r] += new[r] - reference[r] if hears[h, r] > ZERO else ZERO
                        sums[LINKS, r] += hears[h, r]
                    gate(new, policy_taken[j], gain, hears, h, gated, active)
                    count(active, sums, PEER_ACTIVE)
                    if kl:
                        pull_kl(x, h, policy, log_policy, j, active, pull, distance)
                        count_where(active, distance, sums, PENALTY)
                        for r in range(LANES):
                            distance[r] = ZERO
                        for a in range(actions):
                            for r in range(LANES):
                                gap = p[h, a, r] - policy[j, a, r]
                                distance[r] += gap * gap
                    else:
                        pull_l2(p, h, policy, j, active, pull, distance)
                        count_where(active, distance, sums, PENALTY)
                    for r in range(LANES):
                        sums[GAP, r] += distance[r] if hears[h, r] > ZERO else ZERO
                    push(p, h, pull, weight[k] / batch, kl, slope, total)

                surrogate(
                    log_ratio,
                    log_peers,
                    gain,
                    rows,
                    batch,
                    clip,
                    peer_range[0],
                    peer_range[1],
                    own_slope,
                    peer_slope,
                    sums,
                )
                for h in range(heads):
                    if h == own:
                        step(p, h, acted, i, own_slope, slope)
                    elif anyone[h]:
                        for r in range(LANES):
                            total[r] = peer_slope[r] if hears[h, r] > ZERO else ZERO
                        step(p, h, acted, subjects[k, h], total, slope)
                    else:
                        slope[h] = ZERO
                    store(slope, h, gradient, at + h * per_head, per_row, rows)
        gather(owner_sums, totals[chunk])


@compiled
def surrogate_only(
    first: int,
    last: int,
    logits: F32,
    strides: tuple[int, int, int],
    action: I64,
    advantage: F32,
    old: F32,
    owners: I64,
    own_place: I64,
    heads: int,
    actions: int,
    joint: bool,
    clip: np.float32,
    bonus: np.float32,
    gradient: F32,
    own_log_ratio: F32,
    totals: F64,
) -> None:
    """The clipped surrogate alone, on some chunks of rows.

    Args:
        first: chunk to begin with.
        last: chunk to end before.
        logits: f32, [n, M, H, A] laid out by `strides`, actions adjacent.
        strides: of owner, row and subject, in numbers.
        action: i64 [M, N].
        advantage: f32 [n, M].
        old: f32 [n, M, H], log of the old probability of the actions taken.
        owners: i64 [n].
        own_place: i64 [n], which head is an owner's own.
        heads: H; if `joint`, one of every agent.
        actions: A.
        joint: the ratio is that of all heads together; else the owner's head counts alone.
        clip: epsilon.
        bonus: factor of the entropy of the own head.
        gradient: out, f32, as `logits`: of the sum of the losses.
        own_log_ratio: out, f32 [n, M].
        totals: out, f64 [chunks, n, SUMS].
    """
    n, rows_all = advantage.shape
    batch = np.float32(rows_all)
    per_owner, per_row, per_subject = strides
    x = np.empty((heads, actions, LANES), np.float32)
    p = np.empty((heads, actions, LANES), np.float32)
    slope = np.empty((heads, actions, LANES), np.float32)
    acted = np.empty((heads, LANES), np.int32)
    work = np.empty((9, LANES), np.float32)
    peak, total, new, log_ratio = work[0], work[1], work[2], work[3]
    log_peers, gain, own_slope, peer_slope = work[4], work[5], work[6], work[7]
    inverse = work[8]
    owner_sums = np.empty((n, SUMS, LANES), np.float32)
    free = np.float32(np.inf)

    for chunk in range(first, last):
        stop = min(rows_all, (chunk + 1) * CHUNK)
        owner_sums[:] = ZERO
        for start in range(chunk * CHUNK, stop, LANES):
            rows = min(LANES, stop - start)
            for k in range(n):
                i = owners[k]
                own = own_place[k]
                at = k * per_owner + start * per_row
                sums = owner_sums[k]
                slope[:] = ZERO
                for r in range(LANES):
                    gain[r] = advantage[k, start + r] if r < rows else ZERO
                    log_peers[r] = ZERO
                    log_ratio[r] = ZERO
                for h in range(heads):
                    if not joint and h != own:
                        continue
                    subject = h if joint and heads > 1 else i
                    for r in range(LANES):
                        acted[h, r] = action[start + r, subject] if r < rows else 0
                    where = at + h * per_subject
                    load(logits, where, per_row, rows, x, h)
                    log_softmax(x, p, h, peak, total, inverse)
                    pick(logits, where, per_row, acted, h, rows, new)
                    normalise(new, peak, total)
                    for r in range(rows):
                        log_ratio[r] += new[r] - old[k, start + r, h]
                for r in range(rows):
                    own_log_ratio[k, start + r] = log_ratio[r]
                entropy(p, x, own, rows, total, sums)
                if bonus > ZERO:
                    spread(p, x, own, total, bonus / batch, slope)
                surrogate(
                    log_ratio,
                    log_peers,
                    gain,
                    rows,
                    batch,
                    clip,
                    ZERO,
                    free,
                    own_slope,
                    peer_slope,
                    sums,
                )
                for h in range(heads):
                    if joint or h == own:
                        step(p, h, acted, h, own_slope, slope)
                    store(slope, h, gradient, at + h * per_subject, per_row, rows)
        gather(owner_sums, totals[chunk])
