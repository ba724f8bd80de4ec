"""The C interface, `ascore/ascore.h`, for Cython: `cimport ascore.capi`, and link `ascore::capi`.

`ascore.h` documents every function. All of them run without the GIL; `check` turns a status into an
exception and may be called without it too.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "ascore/ascore.h" nogil:
    const uint32_t ASCORE_ABI_VERSION

    ctypedef enum ascore_status:
        ASCORE_OK
        ASCORE_INVALID_ARGUMENT
        ASCORE_ABI_MISMATCH
        ASCORE_BAD_HANDLE
        ASCORE_BUSY
        ASCORE_OUT_OF_MEMORY
        ASCORE_UNREADABLE
        ASCORE_INTERNAL

    ctypedef enum ascore_dtype:
        ASCORE_U8
        ASCORE_F32

    ctypedef struct ascore_env:
        pass

    ctypedef struct ascore_policy:
        pass

    uint32_t ascore_abi_version()
    const char* ascore_version()
    const char* ascore_last_error()
    const char* ascore_status_text(int32_t status)

    size_t ascore_env_count()
    const char* ascore_env_name(size_t index)

    ctypedef struct ascore_param:
        const char* name
        const char* value

    ctypedef struct ascore_env_config:
        uint64_t num_envs
        uint64_t seed
        uint64_t first_env
        int32_t num_threads
        uint32_t num_params
        const ascore_param* params

    ctypedef struct ascore_env_spec:
        uint64_t num_envs
        int32_t num_agents
        int32_t num_actions
        int32_t views
        int32_t obs_size
        int32_t horizon
        int32_t num_threads
        ascore_dtype obs_dtype
        double obs_scale

    ctypedef struct ascore_env_buffers:
        const void* obs
        const void* final_obs
        const float* reward
        const uint8_t* neighbours
        const uint8_t* terminated
        const uint8_t* truncated
        const uint64_t* episode
        const int32_t* time

    ascore_status ascore_env_create(uint32_t abi_version, const char* name,
                                    const ascore_env_config* config, ascore_env** env)
    ascore_status ascore_env_destroy(ascore_env* env)
    ascore_status ascore_env_get_spec(ascore_env* env, ascore_env_spec* spec)
    ascore_status ascore_env_get_buffers(ascore_env* env, ascore_env_buffers* buffers)
    ascore_status ascore_env_action_name(ascore_env* env, int32_t action, const char** name)
    ascore_status ascore_env_reset(ascore_env* env)
    ascore_status ascore_env_reset_seed(ascore_env* env, uint64_t seed)
    ascore_status ascore_env_step(ascore_env* env, const int32_t* action, size_t count)
    ascore_status ascore_env_uniforms(ascore_env* env, float* out, size_t count)
    ascore_status ascore_env_save_state(ascore_env* env, uint8_t* out, size_t capacity,
                                        size_t* size)
    ascore_status ascore_env_load_state(ascore_env* env, const uint8_t* state, size_t size)

    ctypedef struct ascore_policy_spec:
        int32_t num_agents
        int32_t num_actions
        int32_t obs_size
        int32_t centralised
        int64_t num_log_probs
        double obs_scale

    ascore_status ascore_policy_load(uint32_t abi_version, const char* path,
                                     ascore_policy** policy)
    ascore_status ascore_policy_destroy(ascore_policy* policy)
    ascore_status ascore_policy_get_spec(ascore_policy* policy, ascore_policy_spec* spec)
    ascore_status ascore_policy_action_counts(ascore_policy* policy, int32_t* out, size_t count)
    ascore_status ascore_policy_env(ascore_policy* policy, const char** name)
    ascore_status ascore_policy_env_params(ascore_policy* policy, const ascore_param** params,
                                           uint32_t* count)
    ascore_status ascore_policy_act(ascore_policy* policy, ascore_env* env, int32_t greedy,
                                    int32_t* action, size_t count)
    ascore_status ascore_policy_log_probs(ascore_policy* policy, ascore_env* env, float* out,
                                          size_t count)
    ascore_status ascore_policy_act_on(ascore_policy* policy, const void* obs, int32_t dtype,
                                       size_t rows, int32_t views, const float* uniform,
                                       int32_t* action)
    ascore_status ascore_policy_act_legal(ascore_policy* policy, const void* obs, int32_t dtype,
                                          size_t rows, int32_t views, const float* uniform,
                                          const uint8_t* legal, int32_t* action)


cdef inline int check(ascore_status status) except -1 nogil:
    """ValueError for what a caller got wrong, MemoryError, OSError or RuntimeError for the rest."""
    if status == ASCORE_OK:
        return 0
    with gil:
        message = ascore_last_error().decode(errors="replace")
        if status == ASCORE_OUT_OF_MEMORY:
            raise MemoryError(message)
        if status == ASCORE_UNREADABLE:
            raise OSError(message)
        if status in (ASCORE_INVALID_ARGUMENT, ASCORE_BAD_HANDLE):
            raise ValueError(message)
        raise RuntimeError(message)
