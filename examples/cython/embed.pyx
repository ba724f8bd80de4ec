# cython: boundscheck=False, wraparound=False
"""Plays episodes in a loop that never takes the GIL: environments through the C interface."""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, malloc

cimport ascore.capi as c


def play(str name, size_t num_envs, size_t episodes, str policy=None, size_t seed=0):
    """Mean team return of an exported policy, or of uniform play, and how many episodes it is over.

    Other Python threads run meanwhile. Errors of the library are raised as exceptions.
    """
    cdef c.ascore_env* env = NULL
    cdef c.ascore_policy* actor = NULL
    cdef c.ascore_env_config config = c.ascore_env_config(num_envs, seed, 0, 1, 0, NULL)
    cdef c.ascore_env_spec spec
    cdef c.ascore_env_buffers at
    cdef int32_t* action = NULL
    cdef float* uniform = NULL
    cdef size_t count, k, b, ended = 0
    cdef double total = 0
    try:
        if policy is not None:
            path = policy.encode()
            c.check(c.ascore_policy_load(c.ASCORE_ABI_VERSION, path, &actor))
            c.check(c.ascore_policy_env_params(actor, &config.params, &config.num_params))
        word = name.encode()
        c.check(c.ascore_env_create(c.ASCORE_ABI_VERSION, word, &config, &env))
        c.check(c.ascore_env_get_spec(env, &spec))
        c.check(c.ascore_env_get_buffers(env, &at))
        count = num_envs * <size_t>spec.num_agents
        action = <int32_t*>malloc(count * sizeof(int32_t))
        uniform = <float*>malloc(count * sizeof(float))
        if action == NULL or uniform == NULL:
            raise MemoryError
        with nogil:
            c.check(c.ascore_env_reset(env))
            while ended < episodes:
                if actor != NULL:
                    c.check(c.ascore_policy_act(actor, env, 0, action, count))
                else:
                    c.check(c.ascore_env_uniforms(env, uniform, count))
                    for k in range(count):
                        action[k] = <int32_t>(uniform[k] * spec.num_actions)
                c.check(c.ascore_env_step(env, action, count))
                for k in range(count):
                    total += at.reward[k]
                for b in range(num_envs):
                    ended += at.terminated[b] | at.truncated[b]
        return total / ended, ended
    finally:
        free(action)
        free(uniform)
        if env != NULL:
            c.check(c.ascore_env_destroy(env))
        if actor != NULL:
            c.check(c.ascore_policy_destroy(actor))
