#include "ascore/ascore.h"

/* The library is of the version this file was compiled for. */
int main(void) { return ascore_abi_version() == ASCORE_ABI_VERSION ? 0 : 1; }
