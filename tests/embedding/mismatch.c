/* A program that was compiled with the header of another version. */
#include <stdio.h>

#include "ascore/ascore.h"

int main(void) {
  ascore_env_config config = {.num_envs = 1};
  ascore_env* env = NULL;
  ascore_policy* policy = NULL;
  const ascore_status first = ascore_env_create(ASCORE_ABI_VERSION + 1, "harvest-v1", &config, &env);
  printf("%d %s\n", (int)first, ascore_last_error());
  const ascore_status second = ascore_policy_load(ASCORE_ABI_VERSION + 1, "none", &policy);
  printf("%d %s\n", (int)second, ascore_last_error());
  return env != NULL || policy != NULL;
}
