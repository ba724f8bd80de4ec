/* Steps one environment by a fixed rule and prints every byte it writes, in the order of trace.cpp. */
#include <stdio.h>
#include <stdlib.h>

#include "ascore/ascore.h"

static void check(ascore_status status) {
  if (status == ASCORE_OK) return;
  fprintf(stderr, "%s: %s\n", ascore_status_text(status), ascore_last_error());
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  ascore_env_config config = {.num_envs = 5, .seed = 7, .first_env = 3, .num_threads = atoi(argv[3])};
  ascore_env* env = NULL;
  check(ascore_env_create(ASCORE_ABI_VERSION, argv[1], &config, &env));
  ascore_env_spec spec;
  ascore_env_buffers buffers;
  check(ascore_env_get_spec(env, &spec));
  check(ascore_env_get_buffers(env, &buffers));
  check(ascore_env_reset(env));

  const size_t b = spec.num_envs, n = (size_t)spec.num_agents, count = b * n;
  const size_t view = b * (size_t)spec.views * (size_t)spec.obs_size;
  const size_t entry = spec.obs_dtype == ASCORE_F32 ? sizeof(float) : 1;
  int32_t* action = malloc(count * sizeof *action);
  float* uniform = malloc(count * sizeof *uniform);
  if (action == NULL || uniform == NULL) return 1;
  for (int t = 0, steps = atoi(argv[2]); t < steps; ++t) {
    check(ascore_env_uniforms(env, uniform, count));
    for (size_t k = 0; k < count; ++k) action[k] = (int32_t)(uniform[k] * (float)spec.num_actions);
    check(ascore_env_step(env, action, count));
    fwrite(action, sizeof *action, count, stdout);
    fwrite(buffers.obs, entry, view, stdout);
    fwrite(buffers.final_obs, entry, view, stdout);
    fwrite(buffers.reward, sizeof(float), count, stdout);
    fwrite(buffers.neighbours, 1, count * n, stdout);
    fwrite(buffers.terminated, 1, b, stdout);
    fwrite(buffers.truncated, 1, b, stdout);
    fwrite(buffers.episode, sizeof(uint64_t), b, stdout);
    fwrite(buffers.time, sizeof(int32_t), b, stdout);
  }
  free(uniform);
  free(action);
  check(ascore_env_destroy(env));
  return 0;
}
