// What the table in entry_points.def says about each entry, for the parts that look entries up at
// run time: the resolver, the dlsym route and the observers.
#pragma once

#include <cstdint>

#include "interpose/entry_points.h"

namespace mfutrace::interpose {

enum class Library : uint8_t { kCublas, kCublasLt, kNccl, kCount };

struct EntryInfo {
  const char* symbol;
  Library library;
  uint8_t detail;  // shapes::Dtype or shapes::CollectiveKind, by library; 0 = none
};

const EntryInfo& InfoOf(Entry entry);

// "libcublas.so" and so on: what the file name of a library that defines such entries starts with.
const char* FilePrefixOf(Library library);

// The vendor's status for "this library is not usable here": what a call returns whose real
// function does not exist, as it would if the library had never been initialised.
int NotInitializedStatusOf(Library library);

// The entry of that name, or Entry::kCount. A few instructions for names that are none of ours.
Entry EntryNamed(const char* symbol);

}  // namespace mfutrace::interpose
