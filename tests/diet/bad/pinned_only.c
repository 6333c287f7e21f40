// Pins the version and forgets the library it came from (tests/diet/CMakeLists.txt).
#include <dlfcn.h>
__asm__(".symver dlopen,dlopen@GLIBC_2.2.5");
void* cublasHgemm(void) { return dlopen(0, RTLD_NOW); }
