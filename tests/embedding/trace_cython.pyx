"""Steps one environment by a fixed rule, without the GIL, and returns every byte it writes."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport ascore.capi as c


cdef class Bytes:
    """Memory that grows without the GIL."""

    cdef unsigned char* data
    cdef size_t size, room

    def __dealloc__(self):
        free(self.data)

    cdef int put(self, const void* values, size_t count) except -1 nogil:
        if self.size + count > self.room:
            with gil:
                raise MemoryError
        memcpy(self.data + self.size, values, count)
        self.size += count
        return 0


def trace(bytes name, int steps, int threads):
    cdef c.ascore_env* env = NULL
    cdef c.ascore_env_config config
    cdef c.ascore_env_spec spec
    cdef c.ascore_env_buffers at
    cdef size_t b, n, count, view, entry, k
    cdef int32_t* action
    cdef float* uniform
    cdef Bytes out = Bytes()
    cdef int t
    config = c.ascore_env_config(5, 7, 3, threads, 0, NULL)
    c.check(c.ascore_env_create(c.ASCORE_ABI_VERSION, name, &config, &env))
    c.check(c.ascore_env_get_spec(env, &spec))
    c.check(c.ascore_env_get_buffers(env, &at))
    b, n = spec.num_envs, spec.num_agents
    count, view = b * n, b * spec.views * spec.obs_size
    entry = sizeof(float) if spec.obs_dtype == c.ASCORE_F32 else 1
    out.room = steps * (count * 8 + view * entry * 2 + count * n + b * 14)
    out.data = <unsigned char*>malloc(out.room)
    action, uniform = <int32_t*>malloc(count * 4), <float*>malloc(count * 4)
    try:
        with nogil:
            c.check(c.ascore_env_reset(env))
            for t in range(steps):
                c.check(c.ascore_env_uniforms(env, uniform, count))
                for k in range(count):
                    action[k] = <int32_t>(uniform[k] * <float>spec.num_actions)
                c.check(c.ascore_env_step(env, action, count))
                out.put(action, count * 4)
                out.put(at.obs, view * entry)
                out.put(at.final_obs, view * entry)
                out.put(at.reward, count * 4)
                out.put(at.neighbours, count * n)
                out.put(at.terminated, b)
                out.put(at.truncated, b)
                out.put(at.episode, b * 8)
                out.put(at.time, b * 4)
        return (<unsigned char*>out.data)[: out.size]
    finally:
        free(action)
        free(uniform)
        c.check(c.ascore_env_destroy(env))
