// Finding libmfutrace.so and looking at ELF headers.
#include "cli/preload.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "trace/contract.h"

namespace mfutrace::cli {
namespace {

// The floor that the library promises (docs/LIMITS.md).
constexpr int kGlibcMajor = 2;
constexpr int kGlibcMinor = 17;

std::string Folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string OwnPath() {
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = readlink("/proc/self/exe", buffer.data(), buffer.size());
  return length > 0 ? std::string(buffer.data(), static_cast<size_t>(length)) : "";
}

std::string RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  const std::string result = resolved != nullptr ? resolved : "";
  std::free(resolved);
  return result;
}

std::string ReadFile(const std::string& path, size_t limit) {
  std::string text;
  FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return text;
  text.resize(limit);
  text.resize(std::fread(text.data(), 1, limit, file));
  std::fclose(file);
  return text;
}

}  // namespace

absl::StatusOr<std::string> FindPreloadLibrary() {
  const std::string name(trace::kPreloadLibraryName);
  std::string library;
  if (const char* named = std::getenv(trace::env::kLibrary); named != nullptr && *named != '\0') {
    library = RealPath(named);
    if (library.empty()) {
      return absl::NotFoundError(std::string(trace::env::kLibrary) + "=" + named +
                                 ": no such file; name " + name + " or unset it");
    }
  } else {
    const std::string folder = Folder(OwnPath());
    for (const char* place :
         {"/../interpose/", "/../lib/mfutrace/", "/../" MFU_LIBDIR "/mfutrace/"}) {
      if (library.empty()) library = RealPath(folder + place + name);
    }
    if (library.empty()) {
      return absl::NotFoundError(name + " is not in " + folder + "/../lib/mfutrace; set " +
                                 trace::env::kLibrary + " to its path");
    }
  }
  // The loader splits LD_PRELOAD at both and knows no quoting (ld.so(8)).
  if (library.find_first_of(" :") != std::string::npos) {
    return absl::InvalidArgumentError(
        library +
        ": LD_PRELOAD cannot name a path with a space or colon; install mfutrace elsewhere");
  }
  return library;
}

std::string NcclPluginBeside(const std::string& library, std::string* why_not) {
  constexpr size_t kMostBytes = 254;  // NCCL cuts a longer name (src/plugin/plugin_open.cc)
  if (const char* named = std::getenv("NCCL_PROFILER_PLUGIN"); named != nullptr && *named != '\0') {
    *why_not = std::string("NCCL_PROFILER_PLUGIN=") + named + " is set";
    return "";
  }
  // What NCCL opens where nothing is named.
  const char* folders = std::getenv("LD_LIBRARY_PATH");
  const std::string list = folders != nullptr ? folders : "";
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    const std::string usual = list.substr(begin, end - begin) + "/libnccl-profiler.so";
    if (access(usual.c_str(), R_OK) == 0) {
      *why_not = usual + " is the job's own plugin";
      return "";
    }
    begin = end + 1;
  }
  std::string plugin = Folder(library) + "/" + std::string(trace::kNcclPluginName);
  if (access(plugin.c_str(), R_OK) != 0) {
    *why_not = plugin + " is not installed";
    return "";
  }
  if (plugin.size() > kMostBytes) {
    *why_not = plugin + " is longer than NCCL reads";
    return "";
  }
  return plugin;
}

std::string PrependPreload(const std::string& library, const std::string& existing) {
  std::string value = library;
  for (size_t begin = 0; begin < existing.size();) {
    const size_t end = std::min(existing.find_first_of(" :", begin), existing.size());
    const std::string entry = existing.substr(begin, end - begin);
    if (!entry.empty() && entry != library) value += ":" + entry;
    begin = end + 1;
  }
  return value;
}

std::optional<std::string> GlibcOf(const std::string& path) {
  static constexpr char kMarker[] = "release version ";  // of the banner that libc.so.6 prints
  const std::string bytes = ReadFile(path, size_t{8} << 20);
  const size_t found = bytes.find(kMarker);
  if (found == std::string::npos) return std::nullopt;
  const size_t begin = found + std::strlen(kMarker);
  const size_t end = bytes.find_first_not_of("0123456789.", begin);
  std::string version = bytes.substr(begin, end - begin);
  while (!version.empty() && version.back() == '.') version.pop_back();
  if (version.empty()) return std::nullopt;
  return version;
}

std::optional<std::string> InstalledGlibc() {
  for (const char* path : {"/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6",
                           "/lib64/libc.so.6", "/usr/lib64/libc.so.6", "/usr/lib/libc.so.6"}) {
    if (std::optional<std::string> version = GlibcOf(path)) return version;
  }
  return std::nullopt;
}

std::string FindProbe() {
  const std::string folder = Folder(OwnPath());
  for (const char* place : {"/", "/../lib/mfutrace/", "/../" MFU_LIBDIR "/mfutrace/"}) {
    const std::string probe = RealPath(folder + place + "mfutrace-probe");
    if (!probe.empty()) return probe;
  }
  return "";
}

std::string WhyTooOld(const std::optional<std::string>& glibc) {
  int major = 0;
  int minor = 0;
  if (!glibc.has_value() || std::sscanf(glibc->c_str(), "%d.%d", &major, &minor) != 2) return "";
  if (major > kGlibcMajor || (major == kGlibcMajor && minor >= kGlibcMinor)) return "";
  return "glibc " + *glibc + " is too old for " + std::string(trace::kPreloadLibraryName) +
         ", which needs 2.17";
}

std::string WhyOutOfReach(const std::string& path) {
  const std::string bytes = ReadFile(path, 64 << 10);
  if (bytes.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    return "";
  }
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
#if defined(__aarch64__)
  constexpr Elf64_Half kMachine = EM_AARCH64;
#else
  constexpr Elf64_Half kMachine = EM_X86_64;
#endif
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine) {
    return "it is built for another processor than " + std::string(trace::kPreloadLibraryName);
  }
  std::string interpreter;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    const size_t at = header.e_phoff + i * header.e_phentsize;
    Elf64_Phdr program;
    if (at + sizeof program > bytes.size()) return "";
    std::memcpy(&program, bytes.data() + at, sizeof program);
    if (program.p_type != PT_INTERP || program.p_offset >= bytes.size()) continue;
    interpreter = bytes.c_str() + program.p_offset;
  }
  if (interpreter.empty()) return "it is linked statically, so nothing can be preloaded into it";
  if (interpreter.find("musl") != std::string::npos) return "it is built for musl, not glibc";
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & (S_ISUID | S_ISGID)) != 0) {
    return "it is set-user-id, and the loader ignores preloads from elsewhere for such programs";
  }
  return "";
}

}  // namespace mfutrace::cli
