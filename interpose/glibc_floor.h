// Pins functions of the C library to the versions that glibc 2.17 (and older) has, so that the
// library loads into any job that CUDA itself supports. Force-included into every file of
// libmfutrace.so (cmake/PreloadLibrary.cmake).
//
// A preload that asks for a version the job's glibc lacks does not fail to load: it kills the
// process, bash included. The functions below got a second version when libdl and libpthread moved
// into libc (2.34). The pin is half of it: before 2.34 these versions live in libdl.so.2 and
// libpthread.so.0, so both must be NEEDED. scripts/check_preload.sh asserts both halves on the
// finished file. On aarch64 the first version of everything is 2.17.
#pragma once

#if defined(__x86_64__)
#define MFU_BASELINE "GLIBC_2.2.5"
#define MFU_DLADDR1 "GLIBC_2.3.3"
#define MFU_ATTR "GLIBC_2.3.3"
#elif defined(__aarch64__)
#define MFU_BASELINE "GLIBC_2.17"
#define MFU_DLADDR1 "GLIBC_2.17"
#define MFU_ATTR "GLIBC_2.17"
#else
#error "no glibc baseline known for this architecture"
#endif

#define MFU_PIN(symbol, version) __asm__(".symver " #symbol "," #symbol "@" version)

MFU_PIN(dlopen, MFU_BASELINE);
MFU_PIN(dlclose, MFU_BASELINE);
MFU_PIN(dlerror, MFU_BASELINE);
MFU_PIN(dladdr, MFU_BASELINE);
MFU_PIN(dladdr1, MFU_DLADDR1);
MFU_PIN(pthread_create, MFU_BASELINE);
MFU_PIN(pthread_join, MFU_BASELINE);
MFU_PIN(pthread_detach, MFU_BASELINE);
MFU_PIN(pthread_once, MFU_BASELINE);
MFU_PIN(pthread_key_create, MFU_BASELINE);
MFU_PIN(pthread_key_delete, MFU_BASELINE);
MFU_PIN(pthread_getspecific, MFU_BASELINE);
MFU_PIN(pthread_setspecific, MFU_BASELINE);
MFU_PIN(pthread_kill, MFU_BASELINE);
MFU_PIN(pthread_sigmask, MFU_BASELINE);
MFU_PIN(pthread_attr_setstacksize, MFU_BASELINE);
MFU_PIN(pthread_attr_setaffinity_np, MFU_ATTR);

#undef MFU_PIN
#undef MFU_BASELINE
#undef MFU_DLADDR1
#undef MFU_ATTR
