// Shell completion and man pages out of the verbs' own options.
#include "cli/describe.h"

#include <cstdio>

namespace mfutrace::cli {
namespace {

// The verb declares its options and comes back without having parsed anything.
VerbText TextOf(const VerbEntry& verb) {
  VerbText text;
  DescribeInto(&text);
  std::string name = verb.name;
  std::vector<char*> arguments = {name.data(), nullptr};
  verb.run(1, arguments.data());
  DescribeInto(nullptr);
  return text;
}

std::string Join(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// Quotes and backslashes end or escape what a shell reads; help texts can do without them.
std::string Plain(const std::string& text) {
  std::string plain;
  for (const char letter : text) {
    const bool is_special = letter == '\'' || letter == '"' || letter == '\\' || letter == '[' ||
                            letter == ']' || letter == '$' || letter == '`' || letter == ':';
    plain += is_special ? ' ' : letter;
  }
  return plain;
}

std::string Bash(const std::vector<VerbEntry>& verbs) {
  std::vector<std::string> names;
  std::string options;
  std::string values;
  for (const VerbEntry& verb : verbs) {
    names.push_back(verb.name);
    const VerbText text = TextOf(verb);
    std::vector<std::string> words;
    for (const OptionText& option : text.options) {
      words.insert(words.end(), option.names.begin(), option.names.end());
      if (option.choices.empty()) continue;
      values += "    '" + verb.name + " " + Join(option.names, ("'|'" + verb.name + " ").c_str()) +
                "') words='" + Join(option.choices, " ") + "' ;;\n";
    }
    options += "    " + verb.name + ") words='" + Join(words, " ") + "' ;;\n";
  }
  return "# bash completion for mfutrace: . <(mfutrace completion bash)\n"
         "_mfutrace() {\n"
         "  local word=\"${COMP_WORDS[COMP_CWORD]}\" verb=\"${COMP_WORDS[1]}\" words=\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W '" +
         Join(names, " ") +
         " help --help --version' -- \"$word\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"$verb ${COMP_WORDS[COMP_CWORD-1]}\" in\n" +
         values +
         "  esac\n"
         "  if [ -z \"$words\" ] && [ \"${word#-}\" != \"$word\" ]; then\n"
         "    case \"$verb\" in\n" +
         options +
         "    esac\n"
         "  fi\n"
         "  if [ -n \"$words\" ]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _mfutrace mfutrace\n";
}

std::string Zsh(const std::vector<VerbEntry>& verbs) {
  std::string names;
  std::string cases;
  for (const VerbEntry& verb : verbs) {
    names += "    '" + verb.name + ":" + Plain(verb.synopsis) + "'\n";
    const VerbText text = TextOf(verb);
    cases += "    " + verb.name + ") _arguments";
    for (const OptionText& option : text.options) {
      for (const std::string& name : option.names) {
        cases += " \\\n      '" + name + "[" + Plain(option.text) + "]";
        if (!option.choices.empty()) {
          cases += ":value:(" + Join(option.choices, " ") + ")";
        } else if (option.takes_value) {
          cases += ":value:_files";
        }
        cases += "'";
      }
    }
    cases += " \\\n      '*:file:_files' ;;\n";
  }
  return "#compdef mfutrace\n"
         "_mfutrace() {\n"
         "  local -a verbs\n"
         "  verbs=(\n" +
         names +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe verb verbs\n"
         "    return\n"
         "  fi\n"
         "  local verb=$words[2]\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $verb in\n" +
         cases +
         "    *) _files ;;\n"
         "  esac\n"
         "}\n"
         "_mfutrace \"$@\"\n";
}

// Text for troff: a dot or quote at the start of a line is a macro, a hyphen a hyphen.
std::string Troff(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\\') {
      out += "\\e";
    } else if (letter == '-') {
      out += "\\-";
    } else {
      out += letter;
    }
  }
  if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out = "\\&" + out;
  return out;
}

std::string Heading(const std::string& name, const std::string& version) {
  return ".TH \"" + name + "\" 1 \"\" \"mfutrace " + version + "\" \"User Commands\"\n";
}

std::string ManOfVerb(const VerbEntry& verb, const std::string& version) {
  const VerbText text = TextOf(verb);
  std::string page = Heading("MFUTRACE-" + verb.name, version);
  page += ".SH NAME\nmfutrace\\-" + verb.name + " \\- " + Troff(verb.synopsis) + "\n";
  page += ".SH SYNOPSIS\n.B mfutrace " + verb.name + "\n" + Troff(verb.arguments) + "\n";
  page += ".SH DESCRIPTION\n" + Troff(text.description) + "\n";
  page += ".SH OPTIONS\n";
  for (const std::vector<OptionText>* list : {&text.positionals, &text.options}) {
    for (const OptionText& option : *list) {
      page += ".TP\n.B " + Troff(Join(option.names, ", ")) + (option.takes_value ? " VALUE" : "") +
              "\n" + Troff(option.text) + "\n";
    }
  }
  return page + ".SH SEE ALSO\n.BR mfutrace (1)\n";
}

}  // namespace

int PrintCompletion(const std::vector<VerbEntry>& verbs, const std::string& shell) {
  if (shell != "bash" && shell != "zsh") {
    Say("completion: for which shell? bash or zsh");
    std::fputs("  Try: . <(mfutrace completion bash)\n", stderr);
    return kExitBadUse;
  }
  const std::string text = shell == "bash" ? Bash(verbs) : Zsh(verbs);
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

int PrintMan(const std::vector<VerbEntry>& verbs, const std::string& verb,
             const std::string& version) {
  std::string page;
  for (const VerbEntry& one : verbs) {
    if (one.name == verb) page = ManOfVerb(one, version);
  }
  if (verb.empty()) {
    page = Heading("MFUTRACE", version) +
           ".SH NAME\nmfutrace \\- where the peak of a GPU went\n.SH SYNOPSIS\n.B mfutrace\n"
           "VERB [options]\n.SH VERBS\n";
    for (const VerbEntry& one : verbs) {
      page += ".TP\n.BR mfutrace\\-" + one.name + " (1)\n" + Troff(one.synopsis) + "\n";
    }
  }
  if (page.empty()) {
    std::vector<std::string> names;
    for (const VerbEntry& one : verbs) names.push_back(one.name);
    Say("man: no verb \"" + verb + "\"" + Suggestion(verb, names));
    std::fputs("  Try: mfutrace --help\n", stderr);
    return kExitBadUse;
  }
  std::fputs(page.c_str(), stdout);
  return kExitOk;
}

}  // namespace mfutrace::cli
