// What the table in entry_points.def says about each entry, for the parts that look entries up at
// run time: the resolver, the dlsym route and the observers.
#pragma once

#include <cstdint>

#include "interpose/entry_points.h"
#include "shapes/op.h"

namespace mfutrace::interpose {

enum class Library : uint8_t { kCuda, kCupti, kCublas, kCublasLt, kCudnn, kNccl, kCount };

// A fact that a function's name holds and its arguments do not. NCCL: shapes::CollectiveKind.
// cuBLAS: element format, routine, format of the result and how it is called, in a byte each.
namespace detail {
constexpr uint32_t kGauss3m = 1u << 24;     // complex product by three real products
constexpr uint32_t kHostCalled = 2u << 24;  // cublasXt: no cuBLAS handle, streams of its own
}  // namespace detail

// Small, without pointers to relocate: there is one for every entry.
struct EntryInfo {
  uint32_t detail : 28;  // 0 = none
  Library library : 4;

  constexpr EntryInfo(uint32_t what, Library where) : detail(what & 0xfffffff), library(where) {}

  shapes::Dtype dtype() const { return static_cast<shapes::Dtype>(detail & 0xff); }
  shapes::MatrixRoutine routine() const {
    return static_cast<shapes::MatrixRoutine>(detail >> 8 & 0xff);
  }
  // Of the result, where it differs from dtype().
  shapes::Dtype result() const { return static_cast<shapes::Dtype>(detail >> 16 & 0xff); }
  bool Has(uint32_t flag) const { return (detail & flag) != 0; }
};

const EntryInfo& InfoOf(Entry entry);

// "libcublas.so" and so on: what the file name of a library that defines such entries starts with.
const char* FilePrefixOf(Library library);

// Called with whatever arguments in place of a real function that does not exist. Returns the
// vendor's status for "this library is not usable here", as if it had never been initialised.
void* MissingFunctionOf(Library library);

// The entry of that name, or Entry::kCount. A few instructions for names that are none of ours.
// Names are not stored a second time: what this library exports is looked up in its own symbol
// table (own_symbols.cc).
Entry EntryNamed(const char* symbol);

}  // namespace mfutrace::interpose
