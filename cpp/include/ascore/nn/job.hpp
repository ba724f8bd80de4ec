/// What a pass over a minibatch reads and writes: plain pointers, so that code compiled for
/// different instruction sets can share it.
///
/// N agents, K of whom something is known, S samples, M of them in a minibatch, H heads, A actions,
/// V views, O observation entries. All arrays are C-contiguous.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ascore::nn {

inline constexpr int kMaxLayers = 8;

/// Layer sizes of a network, input first; `count` layers.
struct Layers {
  int count = 0;
  int sizes[kMaxLayers + 1] = {};
  bool forward_only = false;  ///< nobody asks for gradients: what only they read is not packed
};

/// The observations of a batch: bytes or floats [S, V, O], times `scale`.
struct Observations {
  const std::uint8_t* bytes = nullptr;
  const float* floats = nullptr;
  float scale = 1.0f;
  int views = 1;
  int size = 0;
  const std::uint8_t* legal = nullptr;  ///< [S, K, A], actions that are; null: all are
};

/// What the objective is, and its constants; names as in the configuration.
struct Objective {
  enum Kind : int { kOwnHead, kJoint, kAnticipation };
  int kind = kOwnHead;
  float clip_epsilon = 0.2f;
  float peer_low = 0.0f, peer_high = 0.0f;  ///< what the peer ratio is held within
  float entropy_bonus = 0.0f;
  float penalty_weight = 0.0f;
  bool printed = false;   ///< the peer ratio is Eq. 13's
  bool kl = false;        ///< the distance is KL(received || own), not squared L2
  bool gated = true;      ///< penalties act where Eq. 14-15 say
  bool corrects = false;  ///< anticipations correct what was received, logits on log-probabilities
};

/// The sizes of the actors: every agent has `trunks` networks of `heads / trunks` outputs blocks,
/// and whom its heads are about. A single head is the agent's own.
///
/// Others have their networks elsewhere; what they did and said is known. They are numbered behind
/// the N agents with networks here.
struct Actors {
  int agents = 0;  ///< N
  int others = 0;  ///< K - N
  int trunks = 1;
  int heads = 1;
  int actions = 0;
  const std::int32_t* subjects =
      nullptr;                         ///< [K, H], -1 in empty heads; null: head j is of agent j
  const std::int32_t* own = nullptr;   ///< [K], which head is the agent's own; with `subjects`
  const std::int32_t* back = nullptr;  ///< [K, H], which head of the subject is of the agent

  /// K.
  int known() const { return agents + others; }

  /// Whom a head is about; -1 if nobody.
  int subject(int owner, int head) const {
    if (heads == 1) return owner;
    return subjects != nullptr ? subjects[std::ptrdiff_t{owner} * heads + head] : head;
  }
  /// Which head is an agent's own.
  int own_head(int owner) const {
    if (heads == 1) return 0;
    return subjects != nullptr ? own[owner] : owner;
  }
  /// Which head of a head's subject is about its owner.
  int back_head(int owner, int head) const {
    return subjects != nullptr ? back[std::ptrdiff_t{owner} * heads + head] : owner;
  }
};

/// The samples of an update as its iterations read them.
struct Samples {
  Observations obs;
  std::int64_t rows = 0;                   ///< S
  const std::int32_t* action = nullptr;    ///< [S, K]
  const float* advantage = nullptr;        ///< [N, S]
  const float* advantage_scale = nullptr;  ///< [N]
  const float* target = nullptr;           ///< [N, S], what critics regress on
  const float* old = nullptr;           ///< [K, S, H], log of the old probability of what was done
  const float* sent = nullptr;          ///< [K, S, H, A], log pi^{ij} as last sent
  const float* announced = nullptr;     ///< [K, S], of what was done, as sent; null: as in `old`
  const std::uint8_t* heard = nullptr;  ///< [S, N, H], or [N, H] with heard_row = 0
  std::int64_t heard_row = 0;           ///< bytes from one row's links to the next one's
  const std::uint8_t* present = nullptr;  ///< [S, N], whose row it is; null: everybody's
};

/// Whole episodes of equal length: step t of episode e is row t * count + e of the samples.
struct Episodes {
  std::int64_t count = 0, steps = 0;
};

/// Episodes that go through a network together at most.
inline constexpr int kTogether = 8;

/// Sums over the rows of a minibatch, per owner.
enum Sum : int {
  kPolicy,
  kPenalty,
  kEntropy,
  kPeerActive,
  kOwnActive,
  kGap,
  kLinks,
  kPeerRatio,
  kKl,
  kClipped,
  kSums,
};

/// Rows of a task: whole blocks, whatever the instruction set.
inline constexpr std::int64_t kChunk = 768;

/// Numbers of scratch memory that one worker needs, in floats.
struct Sizes {
  std::ptrdiff_t packed_actor, packed_critic;      ///< one network
  std::ptrdiff_t gradient_actor, gradient_critic;  ///< one network
  std::ptrdiff_t scratch;                          ///< one worker
  std::ptrdiff_t kept;                             ///< activations of an owner's trunks, a block
  std::ptrdiff_t apart;                            ///< one worker's, for gradients by episode
  std::int64_t block;                              ///< rows of a block
};

struct AdamStep {
  float lr, beta1, beta2, eps;
  float correction1, correction2_root;  ///< 1 - beta1^t, sqrt(1 - beta2^t)
};

/// The passes, compiled for one instruction set.
struct Passes {
  const char* name;
  int lanes;
  Sizes (*sizes)(const Layers& actor, const Layers& critic, const Actors& actors);
  void (*pack)(const Layers& layers, const float* flat, float* packed);
  void (*unpack_gradient)(const Layers& layers, const float* gradient, float* flat);
  /// Adds the second gradient to the first.
  void (*add)(float* to, const float* from, std::ptrdiff_t count);
  /// Log-probabilities [rows, H, A] of one owner on rows first.. of the samples. Activations are
  /// left in `keep`, block by block, unless it is null.
  void (*log_probs)(const Layers& layers, const Actors& actors, const Observations& obs, int owner,
                    const float* packed, std::int64_t first, std::int64_t rows, float* out,
                    float* keep, float* scratch);
  /// Values [rows] of one agent.
  void (*values)(const Layers& layers, const Observations& obs, int owner, const float* packed,
                 std::int64_t first, std::int64_t rows, float* out, float* scratch);
  /// Gradient of the objective over some rows, added to `gradient` (one per trunk); sums, added.
  /// `kept` is null or what `log_probs` kept of these rows; it is used up.
  void (*actor)(const Layers& layers, const Actors& actors, const Samples& samples,
                const Objective& objective, int owner, const std::int64_t* index,
                std::int64_t first, std::int64_t count, std::int64_t minibatch, const float* packed,
                float* kept, float* gradient, double* sums, float* scratch);
  /// Gradient of the squared error over some rows, likewise; the sum of squares is added.
  void (*critic)(const Layers& layers, const Samples& samples, int owner, const std::int64_t* index,
                 std::int64_t first, std::int64_t count, std::int64_t minibatch,
                 const float* packed, float* gradient, double* sum, float* scratch);
  /// What rewards decide of the gradients of episodes first.., each of the mean over its rows and
  /// shortened to the norm `clip`, added to `total` (one per trunk); one that is not finite counts
  /// nothing. The rest of the gradients, of which rewards decide nothing, is added to `open`.
  /// Episodes that were longer are added to `clipped`, sums as in `actor`.
  void (*episodes_actor)(const Layers& layers, const Actors& actors, const Samples& samples,
                         const Objective& objective, int owner, const Episodes& episodes,
                         std::int64_t first, std::int64_t count, double clip, const float* packed,
                         double* total, float* open, double* sums, double* clipped, float* scratch,
                         float* apart);
  /// Likewise of the squared error, of which rewards decide everything.
  void (*episodes_critic)(const Layers& layers, const Samples& samples, int owner,
                          const Episodes& episodes, std::int64_t first, std::int64_t count,
                          double clip, const float* packed, double* total, double* sum,
                          double* clipped, float* scratch, float* apart);
  void (*unpack_total)(const Layers& layers, const double* total, double* flat);
  /// Actions [rows, N] of agents that act by networks of their own, one after the other in
  /// `packed`: inverse transform of uniform numbers [rows, N]. Log-probabilities [rows, N, A], the
  /// same numbers as those of `log_probs`, are left in `out`, unless it is null.
  void (*act)(const Layers& layers, int agents, const Observations& obs, const float* packed,
              std::int64_t rows, const float* uniform, std::int32_t* action, float* out,
              float* scratch);
  /// Sums [2 + meanings + A] over what an owner anticipates of those it hears, added: see
  /// `anticipated_pass`.
  void (*anticipated)(const Actors& actors, const Samples& samples, int owner,
                      const std::int32_t* meant, int meanings, double* sums, float* scratch);
  double (*square_norm)(const float* x, std::ptrdiff_t count);
  void (*adam)(float* parameter, const float* gradient, float* first, float* second,
               std::ptrdiff_t count, float factor, const AdamStep& step);
  /// Multiply-adds as fast as they go, for a measure of what the machine can do; returns a number
  /// that depends on all of them. 2 * kTileRows * kTileVectors * lanes operations per round.
  float (*peak)(std::int64_t rounds);
  int peak_operations;
};

const Passes& portable_passes();
#if defined(__x86_64__)
const Passes& avx2_passes();
const Passes& avx512_passes();
#endif

}  // namespace ascore::nn
