/** @file
 * The C interface of ascore: batches of environments, and trained policies that act in them.
 *
 * Every function returns a status; what went wrong on this thread is in ascore_last_error(). A
 * handle is no address: one that was destroyed, was never made, or belongs to something else gives
 * ASCORE_BAD_HANDLE. A handle may travel between threads but be in use by one at a time; up to
 * 131,071 are alive at once. Nothing here prints, aborts or throws.
 *
 *     ascore_env* env = NULL;
 *     ascore_env_config config = {.num_envs = 64, .seed = 0};
 *     if (ascore_env_create(ASCORE_ABI_VERSION, "harvest-v1", &config, &env) != ASCORE_OK)
 *       return puts(ascore_last_error());
 *
 * Letters in comments: B environments, N agents, A actions, V observations per environment (1 when
 * all agents see the same state, else N), O entries of an observation. Arrays are C-contiguous.
 */
#ifndef ASCORE_ASCORE_H
#define ASCORE_ASCORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Grows when a struct or a function changes its meaning or its shape. What creates something takes
 * it first, so that code compiled against another header is told so. */
#define ASCORE_ABI_VERSION 1

/** How a call ended. */
typedef enum ascore_status {
  ASCORE_OK = 0,               /**< it did what it should */
  ASCORE_INVALID_ARGUMENT = 1, /**< null, wrong size, value out of range, unknown name */
  ASCORE_ABI_MISMATCH = 2,     /**< header and library are of different versions */
  ASCORE_BAD_HANDLE = 3,       /**< null, destroyed, or of another kind */
  ASCORE_BUSY = 4,             /**< another thread is using this handle */
  ASCORE_OUT_OF_MEMORY = 5,    /**< or of threads */
  ASCORE_UNREADABLE = 6,       /**< a file that is missing, damaged or no policy */
  ASCORE_INTERNAL = 7          /**< a fault of this library: please report it */
} ascore_status;

/** The type of an observation's entries. */
typedef enum ascore_dtype {
  ASCORE_U8 = 0, /**< uint8_t */
  ASCORE_F32 = 1 /**< float */
} ascore_dtype;

/** A handle of a batch of environments. */
typedef struct ascore_env ascore_env;
/** A handle of a trained policy. */
typedef struct ascore_policy ascore_policy;

/** The version this library was compiled as. */
uint32_t ascore_abi_version(void);
/** The version of ascore, such as "0.1.0". */
const char* ascore_version(void);
/** What the latest call that failed on this thread complained about; "" if none has. Lives until
 * the next failure on this thread. Long messages are cut. */
const char* ascore_last_error(void);
/** An ascore_status in words, such as "invalid argument"; never null. */
const char* ascore_status_text(int32_t status);

/* ---- environments ------------------------------------------------------------------------- */

/** How many environments there are by name. */
size_t ascore_env_count(void);
/** The name of an environment, 0 to ascore_env_count() - 1; null past the end. */
const char* ascore_env_name(size_t index);

/** A parameter by name; its value as text: "3", "0.5", "true", "next". */
typedef struct ascore_param {
  const char* name;  /**< such as "num_agents" */
  const char* value; /**< such as "2" */
} ascore_param;

/** All zero but num_envs is a good beginning. */
typedef struct ascore_env_config {
  uint64_t num_envs;          /**< B, 1 to 2^31 - 1 */
  uint64_t seed;              /**< with an environment's number it keys all that it draws */
  uint64_t first_env;         /**< number of the first environment */
  int32_t num_threads;        /**< 0 chooses, at most 1024; results do not depend on it */
  uint32_t num_params;        /**< entries of params */
  const ascore_param* params; /**< what differs from the defaults; null if nothing does */
} ascore_env_config;

/** The sizes of a batch. */
typedef struct ascore_env_spec {
  uint64_t num_envs;      /**< B */
  int32_t num_agents;     /**< N */
  int32_t num_actions;    /**< A; actions are 0 to A - 1 */
  int32_t views;          /**< V */
  int32_t obs_size;       /**< O */
  int32_t horizon;        /**< steps after which an episode is truncated */
  int32_t num_threads;    /**< in use */
  ascore_dtype obs_dtype; /**< type of the observations */
  double obs_scale;       /**< networks see observations times this */
} ascore_env_spec;

/** Where the batch keeps what happened. The addresses stay until the batch is destroyed; reset,
 * step and load_state overwrite what they hold. */
typedef struct ascore_env_buffers {
  const void* obs;       /**< [B, V, O] of obs_dtype: the current state */
  const void* final_obs; /**< [B, V, O]: the last state of the latest episode that ended */
  const float* reward;   /**< [B, N] of the last step */
  /** [B, N, N], entry i * N + j is 1 where i hears j; NULL where many agents are not asked for it
   */
  const uint8_t* neighbours;
  const uint8_t* terminated; /**< [B], the episode ended by its rules */
  const uint8_t* truncated;  /**< [B], the episode ended by its time limit */
  const uint64_t* episode;   /**< [B], number of the running episode */
  const int32_t* time;       /**< [B], steps taken in it */
} ascore_env_buffers;

/** Makes a batch. name: such as "harvest-v1" or "harvest"; abi_version: ASCORE_ABI_VERSION. On
 * failure *env is null. */
ascore_status ascore_env_create(uint32_t abi_version, const char* name,
                                const ascore_env_config* config, ascore_env** env);
/** Frees a batch; its handle is then bad. */
ascore_status ascore_env_destroy(ascore_env* env);
/** Writes the sizes of a batch. */
ascore_status ascore_env_get_spec(ascore_env* env, ascore_env_spec* spec);
/** Writes where the batch keeps what happened. */
ascore_status ascore_env_get_buffers(ascore_env* env, ascore_env_buffers* buffers);
/** The name of an action, 0 to A - 1. It lives as long as the batch. */
ascore_status ascore_env_action_name(ascore_env* env, int32_t action, const char** name);
/** Starts the next episode everywhere; the first call starts episode 0. */
ascore_status ascore_env_reset(ascore_env* env);
/** Starts episode 0 everywhere with another seed. */
ascore_status ascore_env_reset_seed(ascore_env* env, uint64_t seed);
/** Advances every environment by one step. action is [B, N], count its entries. Nothing moves if
 * anything is wrong. An episode that ends is followed by a fresh one within the same step. Actions
 * are copied before they are checked: what another thread writes to them meanwhile is harmless. */
ascore_status ascore_env_step(ascore_env* env, const int32_t* action, size_t count);
/** Fills out [B, N] with numbers in [0, 1) for drawing actions in the current state. */
ascore_status ascore_env_uniforms(ascore_env* env, float* out, size_t count);
/** Writes everything that changes to out and its size to *size. With out null, the size alone; a
 * capacity below it is ASCORE_INVALID_ARGUMENT. */
ascore_status ascore_env_save_state(ascore_env* env, uint8_t* out, size_t capacity, size_t* size);
/** Goes back to a saved state; bytes that are damaged, of another batch, or say what cannot be
 * change nothing. */
ascore_status ascore_env_load_state(ascore_env* env, const uint8_t* state, size_t size);

/* ---- policies ----------------------------------------------------------------------------- */

/** The sizes of a policy. */
typedef struct ascore_policy_spec {
  int32_t num_agents;    /**< N */
  int32_t num_actions;   /**< A, of the agent that has most */
  int32_t obs_size;      /**< entries that each network reads */
  int32_t centralised;   /**< 1: one network draws joint actions for all */
  int64_t num_log_probs; /**< per environment: N * A, or J, the joint actions of a centre */
  double obs_scale;      /**< the first layer sees observations times this */
} ascore_policy_spec;

/** Reads the file that `ascore export` wrote. On failure *policy is null. */
ascore_status ascore_policy_load(uint32_t abi_version, const char* path, ascore_policy** policy);
/** Frees a policy; its handle is then bad. */
ascore_status ascore_policy_destroy(ascore_policy* policy);
/** Writes the sizes of a policy. */
ascore_status ascore_policy_get_spec(ascore_policy* policy, ascore_policy_spec* spec);
/** Writes how many actions each agent has, [N]; count: N. What an agent lacks has probability 0. */
ascore_status ascore_policy_action_counts(ascore_policy* policy, int32_t* out, size_t count);
/** The environment it was trained in; lives as long as the policy. */
ascore_status ascore_policy_env(ascore_policy* policy, const char** name);
/** The parameters of that environment, which live as long as the policy; *params may be null if
 * there are none. They fit into ascore_env_config. */
ascore_status ascore_policy_env_params(ascore_policy* policy, const ascore_param** params,
                                       uint32_t* count);
/** Writes the actions [B, N] that the policy chooses in the current state of env: drawn with the
 * numbers of ascore_env_uniforms, or with greedy not 0 the most probable. count: entries of action.
 * The policy must fit the environment. */
ascore_status ascore_policy_act(ascore_policy* policy, ascore_env* env, int32_t greedy,
                                int32_t* action, size_t count);
/** Log-probabilities [B, N, A] in the current state of env ([B, 1, J] of a centre). */
ascore_status ascore_policy_log_probs(ascore_policy* policy, ascore_env* env, float* out,
                                      size_t count);
/** As ascore_policy_act for observations of the caller's own: obs is [rows, V, O] of an
 * ascore_dtype, uniform [rows, N] or null for the most probable actions, action [rows, N]. */
ascore_status ascore_policy_act_on(ascore_policy* policy, const void* obs, int32_t dtype,
                                   size_t rows, int32_t views, const float* uniform,
                                   int32_t* action);
/** As ascore_policy_act_on where not every action is legal: legal is [rows, N, A], 0 at those that
 * are not, which are never chosen. Every agent must have a legal action in every row. */
ascore_status ascore_policy_act_legal(ascore_policy* policy, const void* obs, int32_t dtype,
                                      size_t rows, int32_t views, const float* uniform,
                                      const uint8_t* legal, int32_t* action);

#ifdef __cplusplus
}
#endif

#endif /* ASCORE_ASCORE_H */
