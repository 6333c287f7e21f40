// How libnccl.so.2 names its functions: the strong pncclX does the work, the weak ncclX is the name
// users call and tools replace. A call from one to another by its public name goes through the PLT.
#pragma once

#include <nccl.h>

#define SIM_NCCL(result, name, parameters)                                   \
  extern "C" result name parameters __attribute__((weak, alias("p" #name))); \
  extern "C" result p##name parameters
