// Runs code when loaded (tests/diet/CMakeLists.txt).
static volatile int loaded;
int cublasHgemm(void) { return loaded; }
__attribute__((constructor)) static void AtLoad(void) { loaded = 1; }
