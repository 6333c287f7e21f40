#include "interpose/dlsym_route.h"

#include <dlfcn.h>
#include <link.h>

#include <cerrno>

#include "interpose/elf_symbols.h"
#include "interpose/entry_table.h"
#include "interpose/resolve.h"

namespace mfutrace::interpose {
namespace {

using DlsymFunction = void* (*)(void*, const char*);
using DlvsymFunction = void* (*)(void*, const char*, const char*);

void* NoDlsym(void*, const char*) { return nullptr; }
void* NoDlvsym(void*, const char*, const char*) { return nullptr; }

}  // namespace

extern "C" {
__attribute__((visibility("hidden"))) constinit DlsymFunction mfu_real_dlsym = NoDlsym;
__attribute__((visibility("hidden"))) constinit DlvsymFunction mfu_real_dlvsym = NoDlvsym;
}

namespace {

// Where C libraries keep dlsym: libc from glibc 2.34 on, libdl before, the loader itself in musl.
bool IsCLibrary(const char* path) {
  static constexpr const char* kPrefixes[] = {"libc.so",  "libc-2.", "libdl.so",
                                              "libdl-2.", "ld-musl", "libc.musl"};
  const char* file = BaseName(path);
  for (const char* prefix : kPrefixes) {
    if (StartsWith(file, prefix)) return true;
  }
  return false;
}

// Walks the link maps rather than calling dl_iterate_phdr, which programs replace with functions
// that themselves call dlsym. The C library stands among the first maps and is never unloaded.
void FindTheCLibrarysOwn() {
  static bool is_done = false;
  if (__atomic_load_n(&is_done, __ATOMIC_ACQUIRE)) return;
  const link_map* map = ObjectAt(reinterpret_cast<const void*>(&FindTheCLibrarysOwn));
  while (map != nullptr && map->l_prev != nullptr) map = map->l_prev;
  DlsymFunction dlsym_found = NoDlsym;
  DlvsymFunction dlvsym_found = NoDlvsym;
  for (; map != nullptr; map = map->l_next) {
    if (!IsCLibrary(map->l_name)) continue;
    void* found = FindInObject(map->l_addr, map->l_ld, "dlsym");
    if (found == nullptr) continue;
    dlsym_found = reinterpret_cast<DlsymFunction>(found);
    found = FindInObject(map->l_addr, map->l_ld, "dlvsym");
    if (found != nullptr) dlvsym_found = reinterpret_cast<DlvsymFunction>(found);
    break;
  }
  __atomic_store_n(&mfu_real_dlvsym, dlvsym_found, __ATOMIC_RELAXED);
  __atomic_store_n(&mfu_real_dlsym, dlsym_found, __ATOMIC_RELAXED);
  __atomic_store_n(&is_done, true, __ATOMIC_RELEASE);
}

constexpr DlsymDecision kPass = {nullptr, 0};
constexpr DlsymDecision Answer(void* pointer) { return {pointer, 1}; }

// What a lookup that found `real` gets from us.
DlsymDecision AnswerFor(Entry entry, void* real) {
  if (real == nullptr) return Answer(nullptr);
  const Target target = TargetOfPointer(entry, real);
  void* thunk = target.slot != 0 ? ThunkOf(entry, target.slot) : nullptr;
  return Answer(thunk != nullptr ? thunk : real);
}

// The vendors' libraries see each other's real functions. The shared runtime asks the driver on the
// job's behalf.
bool SeesRealOnes(Entry entry, const void* caller) {
  if (!IsVendorCode(caller)) return false;
  if (InfoOf(entry).library != Library::kCuda) return true;
  const link_map* map = ObjectAt(caller);
  return map == nullptr || !StartsWith(BaseName(map->l_name), "libcudart");
}

}  // namespace

void* RealDlsym(void* handle, const char* name) {
  FindTheCLibrarysOwn();
  return mfu_real_dlsym(handle, name);
}

void* RealDlvsym(void* handle, const char* name, const char* version) {
  FindTheCLibrarysOwn();
  return mfu_real_dlvsym(handle, name, version);
}

extern "C" __attribute__((visibility("hidden"))) DlsymDecision mfu_decide_dlsym(
    void* handle, const char* name, const void* return_address) {
  FindTheCLibrarysOwn();
  if (handle == RTLD_NEXT || name == nullptr) return kPass;
  const Entry entry = EntryNamed(name);
  if (entry == Entry::kCount) return kPass;
  const int saved_errno = errno;
  DlsymDecision decision = kPass;
  if (handle == RTLD_DEFAULT) {
    // Found beyond us or not at all: our own export must not make a library seem to be there.
    void* real = LookUpBeyondUs(name, return_address);
    decision = SeesRealOnes(entry, return_address) ? Answer(real) : AnswerFor(entry, real);
  } else if (!SeesRealOnes(entry, return_address)) {
    void* real = RealDlsym(handle, name);
    if (IsOwnStub(real)) {
      decision =
          AnswerFor(entry, LookUpBeyondUs(name, nullptr));  // the handle of the program itself
    } else if (real != nullptr) {
      decision = AnswerFor(entry, real);
    }
  }
  errno = saved_errno;
  return decision;
}

// A versioned lookup never finds our exports, which have no version: only what to hand back
// differs.
extern "C" __attribute__((visibility("hidden"))) DlsymDecision mfu_decide_dlvsym(
    void* handle, const char* name, const char* version, const void* return_address) {
  FindTheCLibrarysOwn();
  if (handle == RTLD_NEXT || name == nullptr || version == nullptr) return kPass;
  const Entry entry = EntryNamed(name);
  if (entry == Entry::kCount) return kPass;
  const int saved_errno = errno;
  DlsymDecision decision = kPass;
  if (!SeesRealOnes(entry, return_address)) {
    void* real = RealDlvsym(handle, name, version);
    if (real == nullptr && handle == RTLD_DEFAULT) {
      // RTLD_DEFAULT from here does not see the caller's own dependencies.
      const link_map* caller = ObjectAt(return_address);
      void* scope = caller != nullptr && caller->l_name[0] != '\0'
                        ? dlopen(caller->l_name, RTLD_NOLOAD | RTLD_LAZY)
                        : nullptr;
      if (scope != nullptr) {
        real = RealDlvsym(scope, name, version);
        dlclose(scope);
      }
    }
    if (real != nullptr) decision = AnswerFor(entry, real);
  }
  errno = saved_errno;
  return decision;
}

}  // namespace mfutrace::interpose
