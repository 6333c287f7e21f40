// Where the preloaded library is, and whether the loader will take it: what `run` checks first.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace mfutrace::cli {

// Absolute path: $MFUTRACE_LIBRARY, else beside this program in the build tree or the install tree.
absl::StatusOr<std::string> FindPreloadLibrary();

// `library` in front of what is in LD_PRELOAD already, named once.
std::string PrependPreload(const std::string& library, const std::string& existing);

// NCCL's profiler plugin beside `library`, for copies of NCCL that cannot be intercepted. Empty,
// with a reason, where NCCL would not take it or the job has a plugin of its own: there is one
// place.
std::string NcclPluginBeside(const std::string& library, std::string* why_not);

// "2.36" of the C library installed here, nullopt where none of the usual places has a glibc. Read
// from the file, since this program is linked statically and asking libc would name its own.
std::optional<std::string> InstalledGlibc();
// The same of one libc.so.6.
std::optional<std::string> GlibcOf(const std::string& path);

// mfutrace-probe, beside this program or beside the library; empty if it is nowhere.
std::string FindProbe();

// Empty, or one line on why this machine's loader cannot take the library.
std::string WhyTooOld(const std::optional<std::string>& glibc);

// Empty, or one clause on why the preload cannot reach the program at `path`: linked statically,
// for musl, for another processor, or set-user-id. Scripts are judged by what they start, so not at
// all.
std::string WhyOutOfReach(const std::string& path);

}  // namespace mfutrace::cli
