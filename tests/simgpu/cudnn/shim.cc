// libcudnn.so.9, as the real one is: it holds no function of its own, but opens a sub-library when
// one of its names is first called, asks it for the same name, and jumps there with the arguments
// untouched.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace {

// The stubs read `target`, the first member.
struct Slot {
  void* target;
  const char* name;
  const char* library;
};

}  // namespace

#define SIM_SHIM(name, library)                                             \
  extern "C" __attribute__((visibility("hidden"))) Slot simgpu_shim_##name; \
  __attribute__((used)) Slot simgpu_shim_##name = {nullptr, #name, library};
#include "cudnn/shim_names.def"
#undef SIM_SHIM

extern "C" __attribute__((visibility("hidden"), used)) void* simgpu_shim_bind(Slot* slot) {
  void* library = dlopen(slot->library, RTLD_NOW | RTLD_LOCAL);
  void* target = library == nullptr ? nullptr : dlsym(library, slot->name);
  if (target == nullptr) {
    std::fprintf(stderr, "simgpu: %s: %s\n", slot->name, dlerror());
    std::abort();
  }
  __atomic_store_n(&slot->target, target, __ATOMIC_RELEASE);
  return target;
}

#if defined(__x86_64__)

#define SIM_SHIM(name, library)                                    \
  asm(".text\n.globl " #name "\n.type " #name ",@function\n" #name \
      ":\n"                                                        \
      "  lea simgpu_shim_" #name                                   \
      "(%rip), %r11\n"                                             \
      "  cmpq $0, (%r11)\n"                                        \
      "  je simgpu_shim_first_call\n"                              \
      "  jmp *(%r11)\n"                                            \
      ".size " #name ", .-" #name "\n");

// Keeps what carries arguments across the search: six integer registers and eight vector ones.
asm(".text\n.type simgpu_shim_first_call,@function\nsimgpu_shim_first_call:\n"
    "  push %rdi\n  push %rsi\n  push %rdx\n  push %rcx\n  push %r8\n  push %r9\n  push %rax\n"
    "  sub $128, %rsp\n"
    "  movups %xmm0, 0(%rsp)\n  movups %xmm1, 16(%rsp)\n  movups %xmm2, 32(%rsp)\n"
    "  movups %xmm3, 48(%rsp)\n  movups %xmm4, 64(%rsp)\n  movups %xmm5, 80(%rsp)\n"
    "  movups %xmm6, 96(%rsp)\n  movups %xmm7, 112(%rsp)\n"
    "  mov %r11, %rdi\n"
    "  call simgpu_shim_bind\n"
    "  mov %rax, %r11\n"
    "  movups 0(%rsp), %xmm0\n  movups 16(%rsp), %xmm1\n  movups 32(%rsp), %xmm2\n"
    "  movups 48(%rsp), %xmm3\n  movups 64(%rsp), %xmm4\n  movups 80(%rsp), %xmm5\n"
    "  movups 96(%rsp), %xmm6\n  movups 112(%rsp), %xmm7\n"
    "  add $128, %rsp\n"
    "  pop %rax\n  pop %r9\n  pop %r8\n  pop %rcx\n  pop %rdx\n  pop %rsi\n  pop %rdi\n"
    "  jmp *%r11\n"
    ".size simgpu_shim_first_call, .-simgpu_shim_first_call\n");

#elif defined(__aarch64__)

#define SIM_SHIM(name, library)                                    \
  asm(".text\n.globl " #name "\n.type " #name ",%function\n" #name \
      ":\n"                                                        \
      "  adrp x16, simgpu_shim_" #name                             \
      "\n"                                                         \
      "  add x16, x16, :lo12:simgpu_shim_" #name                   \
      "\n"                                                         \
      "  ldr x17, [x16]\n"                                         \
      "  cbz x17, 1f\n"                                            \
      "  br x17\n"                                                 \
      "1: b simgpu_shim_first_call\n"                              \
      ".size " #name ", .-" #name "\n");

asm(".text\n.type simgpu_shim_first_call,%function\nsimgpu_shim_first_call:\n"
    "  stp x29, x30, [sp, #-224]!\n"
    "  stp x0, x1, [sp, #16]\n  stp x2, x3, [sp, #32]\n  stp x4, x5, [sp, #48]\n"
    "  stp x6, x7, [sp, #64]\n  str x8, [sp, #80]\n"
    "  stp q0, q1, [sp, #96]\n  stp q2, q3, [sp, #128]\n  stp q4, q5, [sp, #160]\n"
    "  stp q6, q7, [sp, #192]\n"
    "  mov x0, x16\n"
    "  bl simgpu_shim_bind\n"
    "  mov x17, x0\n"
    "  ldp q0, q1, [sp, #96]\n  ldp q2, q3, [sp, #128]\n  ldp q4, q5, [sp, #160]\n"
    "  ldp q6, q7, [sp, #192]\n"
    "  ldp x0, x1, [sp, #16]\n  ldp x2, x3, [sp, #32]\n  ldp x4, x5, [sp, #48]\n"
    "  ldp x6, x7, [sp, #64]\n  ldr x8, [sp, #80]\n"
    "  ldp x29, x30, [sp], #224\n"
    "  br x17\n"
    ".size simgpu_shim_first_call, .-simgpu_shim_first_call\n");

#else
#error "the shim of libcudnn.so.9 is written for x86-64 and aarch64"
#endif

#include "cudnn/shim_names.def"
