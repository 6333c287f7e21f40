// mfutrace <verb>: the table of verbs. Each verb is a file of its own.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/args.h"
#include "cli/describe.h"
#include "cli/verbs.h"
#include "commit.h"

namespace {

struct Verb {
  const char* name;
  const char* arguments;
  const char* synopsis;
  int (*run)(int argc, char** argv);
};

constexpr Verb kVerbs[] = {
    {"run", "[options] [--] CMD...", "run a command and record every process it starts",
     mfutrace::cli::RunVerb},
    {"report", "[RUN|FILE...] [outputs]", "MFU, where the time went, operations, communication",
     mfutrace::cli::ReportVerb},
    {"reduce", "[RUN|FILE...] -o SUMMARY", "traces to a small file for report to read instead",
     mfutrace::cli::ReduceVerb},
    {"diff", "OLD NEW", "what changed: MFU, where the time went, operations",
     mfutrace::cli::DiffVerb},
    {"gate", "[RUN...]", "check runs against mfutrace.toml; the exit code says",
     mfutrace::cli::GateVerb},
    {"info", "[RUN|FILE]", "what a trace holds, and whether it is whole; --dump",
     mfutrace::cli::InfoVerb},
    {"doctor", "[-- CMD...]", "what will and will not be seen here, or of a program",
     mfutrace::cli::DoctorVerb},
    {"peaks", "[NAME]", "known GPUs, their dense peaks and sources", mfutrace::cli::PeaksVerb},
    {"shapes", "--check FILE...", "hold FLOPs and bytes against files of reference cases",
     mfutrace::cli::ShapesVerb},
    {"estimate", "CONFIG --batch B --seq S", "FLOPs of a model by its config.json; --check FILE...",
     mfutrace::cli::EstimateVerb},
};

void PrintVerbs(FILE* stream) {
  std::fputs("usage: mfutrace VERB [options]\n\n", stream);
  for (const Verb& verb : kVerbs) {
    std::fprintf(stream, "  mfutrace %-9s%-26s%s\n", verb.name, verb.arguments, verb.synopsis);
  }
  std::fputs(
      "\nRUN is a folder of traces; without one, the newest mfutrace-* here.\n"
      "mfutrace VERB --help explains one verb; mfutrace --version.\n"
      "mfutrace completion bash|zsh and mfutrace man [VERB] write what shells and man read.\n",
      stream);
}

std::vector<mfutrace::cli::VerbEntry> Entries() {
  std::vector<mfutrace::cli::VerbEntry> entries;
  for (const Verb& verb : kVerbs) {
    entries.push_back({verb.name, verb.arguments, verb.synopsis, verb.run});
  }
  return entries;
}

const Verb* FindVerb(const std::string& name) {
  for (const Verb& verb : kVerbs) {
    if (name == verb.name) return &verb;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    PrintVerbs(stdout);
    return mfutrace::cli::kExitOk;
  }
  const std::string word = argv[1];
  if (word == "--version" || word == "-V") {
    std::puts("mfutrace " MFU_VERSION MFU_COMMIT);
    return mfutrace::cli::kExitOk;
  }
  if (word == "completion")
    return mfutrace::cli::PrintCompletion(Entries(), argc > 2 ? argv[2] : "");
  if (word == "man") {
    return mfutrace::cli::PrintMan(Entries(), argc > 2 ? argv[2] : "", MFU_VERSION);
  }
  const bool is_help = word == "--help" || word == "-h" || word == "help";
  if (is_help && argc < 3) {
    PrintVerbs(stdout);
    return mfutrace::cli::kExitOk;
  }
  const Verb* verb = FindVerb(is_help ? argv[2] : word);
  if (verb != nullptr && is_help) {
    std::string help = "--help";
    std::vector<char*> arguments = {argv[2], help.data(), nullptr};
    return verb->run(2, arguments.data());
  }
  if (verb != nullptr) return verb->run(argc - 1, argv + 1);

  std::vector<std::string> names;
  for (const Verb& known : kVerbs) names.emplace_back(known.name);
  const std::string wrong = is_help ? argv[2] : word;
  mfutrace::cli::Say("no verb \"" + wrong + "\"" + mfutrace::cli::Suggestion(wrong, names));
  std::fputs("  Try: mfutrace --help\n", stderr);
  return mfutrace::cli::kExitBadUse;
}
