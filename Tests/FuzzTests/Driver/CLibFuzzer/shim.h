#include <stddef.h>
#include <stdint.h>

// Source: LLVM manual, "libFuzzer - a library for coverage-guided fuzz testing", "Using libFuzzer as a library".
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
