// See doctor_rows.h.
#include "cli/doctor_rows.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>

#include "cli/elf_file.h"
#include "report/render/units.h"
#include "shapes/peaks.h"

namespace mfutrace::cli {
namespace {

std::string Name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

struct Library {
  const char* name;
  const char* file;      // how its shared library's file begins
  const char* function;  // that every copy defines
  const char* words;     // that every copy holds, also where its names are stripped; or nullptr
};
// Words: variables that the library reads, present in cuBLAS 13.1 and NCCL 2.28.
constexpr Library kLibraries[] = {
    {"cublas", "libcublas.so", "cublasGemmEx", "CUBLAS_LOGINFO_DBG"},
    {"cublasLt", "libcublasLt.so", "cublasLtMatmul", "CUBLASLT_LOG_LEVEL"},
    {"cudnn", "libcudnn.so", "cudnnBackendExecute", nullptr},
    {"nccl", "libnccl.so", "ncclAllReduce", "NCCL_PROFILER_PLUGIN"}};

bool IsFileOf(const Library& library, const std::string& path) {
  return Name(path).compare(0, std::strlen(library.file), library.file) == 0;
}

// "cublasLt" of cublasLtMatmul: the longest name that fits.
const Library* LibraryOf(const std::string& entry) {
  const Library* best = nullptr;
  for (const Library& library : kLibraries) {
    const size_t length = std::strlen(library.name);
    if (entry.compare(0, length, library.name) != 0) continue;
    if (best == nullptr || length > std::strlen(best->name)) best = &library;
  }
  return best;
}

std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    fields.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return fields;
}

std::string Calls(uint64_t calls) {
  return std::to_string(calls) + (calls == 1 ? " call seen" : " calls seen");
}

void AddDevices(const ProbeAnswer& probe, std::vector<Row>& rows) {
  if (!probe.no_probe.empty()) {
    rows.push_back({"device", "--", "not asked: " + probe.no_probe, {}});
    return;
  }
  if (!probe.no_driver.empty()) {
    rows.push_back({"device", "NO", "no driver answers: " + probe.no_driver, {}});
    return;
  }
  std::map<std::string, int> counts;
  for (const ProbeAnswer::Device& device : probe.devices) ++counts[device.name];
  if (counts.empty()) rows.push_back({"device", "NO", "the driver shows no GPU", {}});
  for (const auto& [name, count] : counts) {
    Row row = {"device", "ok", std::to_string(count) + " × " + name + "    ", {}};
    const shapes::Gpu* gpu = shapes::FindGpu(name);
    std::string known;
    using shapes::PeakRate;
    for (const PeakRate rate : {PeakRate::kBf16, PeakRate::kF8, PeakRate::kTf32}) {
      const std::optional<uint64_t> peak =
          gpu != nullptr ? shapes::PeakFlopPerSecond(*gpu, rate) : std::nullopt;
      if (!peak.has_value()) continue;
      known += (known.empty() ? "" : ", ") + std::string(shapes::NameOf(rate)) + " " +
               report::Fixed(static_cast<double>(*peak) / 1e12, 1);
    }
    if (known.empty()) {
      row.verdict = "part";
      row.text += "peak unknown: FLOP/s and times, no MFU";
      row.help = {"if you know the dense figure: mfutrace report --peak bf16=148e12"};
    } else {
      row.text += "peak known: " + known + " TFLOP/s (dense)";
    }
    rows.push_back(std::move(row));
  }
}

void AddPreload(const Evidence& evidence, std::vector<Row>& rows) {
  Row row = {"preload", "ok", "libmfutrace.so needs glibc 2.17", {}};
  if (!evidence.glibc.empty()) {
    row.text += std::string(", ") + (evidence.has_command ? "job" : "this machine") + " has " +
                evidence.glibc;
  }
  if (!evidence.too_old.empty()) {
    row.verdict = "NO";
    row.text = evidence.too_old;
    row.help = {"run the job in a container with a newer C library"};
  } else if (!evidence.out_of_reach.empty()) {
    row.verdict = "NO";
    row.text = evidence.out_of_reach;
    row.help = {"what it starts may still be seen"};
  } else if (!evidence.watched.programs_without_preload.empty()) {
    row.verdict = "part";
    std::string names;
    for (const std::string& path : evidence.watched.programs_without_preload) {
      names += (names.empty() ? "" : ", ") + Name(path);
    }
    row.text += "; without it runs " + names;
    row.help = {"its environment was stripped (env -i, sudo, a container), or it is set-user-id;",
                "set LD_PRELOAD and MFUTRACE_OUT inside: eval \"$(mfutrace run --print-env)\""};
  }
  rows.push_back(std::move(row));
}

uint64_t CallsOf(const Evidence& evidence, const Library& library) {
  uint64_t calls = 0;
  for (const auto& [entry, count] : evidence.calls_by_entry) {
    if (LibraryOf(entry) == &library) calls += count;
  }
  return calls;
}

Row LinkedInto(const Evidence& evidence, const Library& library, uint64_t calls) {
  Row row = {library.name, "NO", "linked into ", {}};
  for (const std::string& path : evidence.linked_into.at(library.name)) {
    row.text += (row.text.back() == ' ' ? "" : ", ") + Name(path);
  }
  const bool is_nccl = std::strcmp(library.name, "nccl") == 0;
  if (is_nccl && evidence.nccl_calls_by_plugin > 0) {
    row.verdict = "ok";
    row.text += "; " + Calls(evidence.nccl_calls_by_plugin) + " through its profiler interface";
    row.help = {"kinds of reductions are not told (docs/LIMITS.md#static-nccl)"};
    return row;
  }
  if (calls > 0) {
    row.verdict = "ok";
    row.text += ", its calls can still be intercepted, " + Calls(calls);
    return row;
  }
  row.text += "; its calls cannot be intercepted";
  if (!is_nccl) {
    row.help = {"its kernels are seen with --timing cupti, without shapes; FLOPs will be missing.",
                "Link " + std::string(library.file) + " instead of the archive"};
  } else if (!evidence.no_nccl_plugin.empty()) {
    row.help = {"and its profiler interface is not ours: " + evidence.no_nccl_plugin,
                "communication will be missing. Unset NCCL_PROFILER_PLUGIN, or use a build that",
                "ships libnccl.so.2 (docs/LIMITS.md#static-nccl)"};
  } else {
    row.help = {
        "mfutrace run sets NCCL_PROFILER_PLUGIN, through which NCCL 2.27 and newer is seen;",
        "no call came that way so far (docs/LIMITS.md#static-nccl)"};
  }
  return row;
}

void AddLibrary(const Evidence& evidence, const Library& library, std::vector<Row>& rows) {
  const uint64_t calls = CallsOf(evidence, library);
  std::set<std::string> names;
  for (const std::string& path : evidence.watched.files) {
    if (IsFileOf(library, path)) names.insert(Name(path));
  }
  std::string shared;
  for (const std::string& name : names) shared += (shared.empty() ? "" : ", ") + name;
  if (evidence.linked_into.count(library.name) != 0) {
    rows.push_back(LinkedInto(evidence, library, shared.empty() ? calls : 0));
  }
  if (shared.empty()) {
    if (evidence.linked_into.count(library.name) == 0) {
      rows.push_back(calls > 0 ? Row{library.name, "ok", Calls(calls), {}}
                               : Row{library.name, "--", "not loaded", {}});
    }
    return;
  }
  Row row = {library.name, "ok", shared + " (dynamic), ", {}};
  row.text += calls > 0 ? Calls(calls) : "no call of a function that is counted";
  for (const auto& [path, functions] : evidence.watched.bound_past) {
    std::string first;
    for (const std::string& name : functions) {
      if (first.empty() && LibraryOf(name) == &library) first = name;
    }
    if (first.empty()) continue;
    row.verdict = calls > 0 ? "part" : "NO";
    row.help.push_back(Name(path) + " calls it past the preload (" + first +
                       "): loaded with RTLD_DEEPBIND;");
    row.help.push_back("calls from there are not seen");
  }
  rows.push_back(std::move(row));
}

void AddTiming(const Evidence& evidence, std::vector<Row>& rows) {
  const ProbeAnswer& probe = evidence.probe;
  Row row = {"cupti", "ok", "", {}};
  if (!probe.no_probe.empty()) {
    row = {"cupti", "--", "not asked: " + probe.no_probe, {}};
  } else if (!probe.no_cupti.empty()) {
    row = {"cupti", "NO", "not found; times come from events", {probe.no_cupti}};
    row.help.push_back("put its folder into LD_LIBRARY_PATH, or set MFUTRACE_CUPTI to its path");
  } else {
    row.text = Name(probe.cupti_path) + ", version " + probe.cupti_version;
    if (!probe.is_cupti_free) {
      row.verdict = "NO";
      row.text += ", its one place is taken";
    }
  }
  for (const auto& [name, value] : evidence.profilers) {
    row.verdict = row.verdict == "ok" ? "part" : row.verdict;
    row.help.push_back(name + (value.empty() ? "" : "=" + value) +
                       ": another profiler may hold CUPTI's one place");
  }
  for (const std::string& monitor : evidence.monitors) {
    row.help.push_back(monitor + " runs: it may hold the GPU's counters. mfutrace needs none");
  }
  rows.push_back(std::move(row));
}

void AddOthers(const Evidence& evidence, std::vector<Row>& rows) {
  const bool has_triton =
      std::any_of(evidence.watched.files.begin(), evidence.watched.files.end(),
                  [](const std::string& path) { return Name(path) == "libtriton.so"; });
  rows.push_back({has_triton ? "triton" : "others",
                  "part",
                  "kernels outside these libraries are seen with --timing cupti alone, as time "
                  "without FLOPs",
                  {}});
}

}  // namespace

ProbeAnswer ParseProbe(const std::string& text) {
  ProbeAnswer answer;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::vector<std::string> fields = Fields(text.substr(begin, end - begin));
    begin = end + 1;
    const bool is_missing = fields.size() == 3 && fields[1] == "missing";
    if (fields[0] == "driver") {
      if (is_missing) {
        answer.no_driver = fields[2];
      } else if (fields.size() == 2) {
        answer.driver_version = std::atoi(fields[1].c_str());
      }
    } else if (fields[0] == "device" && fields.size() == 4) {
      answer.devices.push_back({fields[2], fields[3]});
    } else if (fields[0] == "cupti") {
      if (is_missing) {
        answer.no_cupti = fields[2];
      } else if (fields.size() == 4) {
        answer.cupti_path = fields[1];
        answer.cupti_version = fields[2];
        answer.is_cupti_free = fields[3] == "free";
      }
    }
  }
  return answer;
}

std::vector<Row> Diagnose(const Evidence& evidence) {
  std::vector<Row> rows;
  AddDevices(evidence.probe, rows);
  AddPreload(evidence, rows);
  if (evidence.has_command) {
    for (const Library& library : kLibraries) AddLibrary(evidence, library, rows);
  } else if (!evidence.no_nccl_plugin.empty()) {
    rows.push_back({"nccl",
                    "part",
                    "where it is linked statically it will not be seen: " + evidence.no_nccl_plugin,
                    {}});
  }
  AddTiming(evidence, rows);
  if (evidence.has_command) AddOthers(evidence, rows);
  return rows;
}

std::string RowsAsText(const std::vector<Row>& rows) {
  std::string text;
  const auto pad = [](std::string word, size_t width) {
    word.resize(std::max(width, word.size()), ' ');
    return word;
  };
  for (const Row& row : rows) {
    text += pad(row.subject, 12) + pad(row.verdict, 6) + row.text + "\n";
    for (const std::string& line : row.help) text += std::string(18, ' ') + line + "\n";
  }
  return text;
}

std::vector<std::string> LibrariesInside(const std::string& path) {
  std::vector<std::string> inside;
  const std::string name = Name(path);
  for (const char* own : {"libmfutrace", "libcublas", "libcudnn", "libnccl"}) {
    if (name.compare(0, std::strlen(own), own) == 0) return inside;
  }
  const ElfFile file(path);
  if (!file.is_readable()) return inside;
  for (const Library& library : kLibraries) {
    if (file.Defines(library.function) ||
        (library.words != nullptr && file.Contains(library.words))) {
      inside.emplace_back(library.name);
    }
  }
  return inside;
}

}  // namespace mfutrace::cli
