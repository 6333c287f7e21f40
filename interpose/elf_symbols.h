// Reads symbol tables of loaded objects directly, without dlsym: that is how the real dlsym is
// found, and how a function is looked up in exactly one library rather than in a scope. No
// allocation, no locks; the object must stay loaded meanwhile.
#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstdint>

namespace mfutrace::interpose {

// The address of the defined function or object `name` in the object at `base` with dynamic section
// `dynamic`; nullptr if it does not define one. Among several versions the default one wins.
void* FindInObject(uintptr_t base, const ElfW(Dyn) * dynamic, const char* name);

// Calls `visit(name, address, context)` for every defined symbol of such an object's table for
// lookups (of the GNU kind).
void VisitObject(uintptr_t base, const ElfW(Dyn) * dynamic,
                 void (*visit)(const char* name, const void* address, void* context),
                 void* context);

// "libc.so.6" of "/lib/x86_64-linux-gnu/libc.so.6".
const char* BaseName(const char* path);
bool StartsWith(const char* text, const char* prefix);

// The link map of the object that contains `address`, or nullptr.
struct link_map* ObjectAt(const void* address);

}  // namespace mfutrace::interpose
