// See elf_file.h. Every offset from the file is checked against its size before it is followed.
#include "cli/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace mfutrace::cli {

#if defined(__aarch64__)
constexpr uint32_t kJumpSlot = R_AARCH64_JUMP_SLOT;
constexpr uint32_t kGlobalData = R_AARCH64_GLOB_DAT;
#else
constexpr uint32_t kJumpSlot = R_X86_64_JUMP_SLOT;
constexpr uint32_t kGlobalData = R_X86_64_GLOB_DAT;
#endif

ElfFile::ElfFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
      static_cast<uint64_t>(info.st_size) >= sizeof(Elf64_Ehdr)) {
    const auto size = static_cast<size_t>(info.st_size);
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped != MAP_FAILED) {
      bytes_ = static_cast<const unsigned char*>(mapped);
      size_ = size;
    }
  }
  close(fd);
  if (bytes_ != nullptr &&
      (std::memcmp(bytes_, ELFMAG, SELFMAG) != 0 || bytes_[EI_CLASS] != ELFCLASS64)) {
    munmap(const_cast<unsigned char*>(bytes_), size_);
    bytes_ = nullptr;
    size_ = 0;
  }
}

ElfFile::~ElfFile() {
  if (bytes_ != nullptr) munmap(const_cast<unsigned char*>(bytes_), size_);
}

template <typename Record>
const Record* ElfFile::At(uint64_t offset, uint64_t count) const {
  if (offset > size_ || offset % alignof(Record) != 0) return nullptr;
  if ((size_ - offset) / sizeof(Record) < count) return nullptr;
  return reinterpret_cast<const Record*>(bytes_ + offset);
}

ElfFile::Table ElfFile::SectionNumber(uint32_t number) const {
  const auto* header = At<Elf64_Ehdr>(0);
  if (header == nullptr || number >= header->e_shnum) return {};
  const auto* section = At<Elf64_Shdr>(header->e_shoff + uint64_t{number} * sizeof(Elf64_Shdr));
  if (section == nullptr || section->sh_type == SHT_NOBITS) return {};
  const auto* data = At<unsigned char>(section->sh_offset, section->sh_size);
  if (data == nullptr) return {};
  return {data, section->sh_size, section->sh_link};
}

ElfFile::Table ElfFile::SectionOfType(uint32_t type) const {
  const auto* header = At<Elf64_Ehdr>(0);
  for (uint32_t i = 0; header != nullptr && i < header->e_shnum; ++i) {
    const auto* section = At<Elf64_Shdr>(header->e_shoff + uint64_t{i} * sizeof(Elf64_Shdr));
    if (section != nullptr && section->sh_type == type) return SectionNumber(i);
  }
  return {};
}

std::string_view ElfFile::TextAt(const Table& strings, uint64_t offset) const {
  if (offset >= strings.bytes) return {};
  const auto* text = reinterpret_cast<const char*>(strings.data + offset);
  return {text, strnlen(text, strings.bytes - offset)};
}

std::vector<std::string> ElfFile::Needed() const {
  std::vector<std::string> names;
  const Table dynamic = SectionOfType(SHT_DYNAMIC);
  const Table strings = SectionNumber(dynamic.link);
  for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic.bytes; at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    std::memcpy(&entry, dynamic.data + at, sizeof entry);
    if (entry.d_tag == DT_NEEDED) names.emplace_back(TextAt(strings, entry.d_un.d_val));
  }
  return names;
}

bool ElfFile::Defines(std::string_view name) const {
  for (const uint32_t type : {SHT_DYNSYM, SHT_SYMTAB}) {
    const Table symbols = SectionOfType(type);
    const Table strings = SectionNumber(symbols.link);
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.bytes; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, symbols.data + at, sizeof symbol);
      if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
          TextAt(strings, symbol.st_name) == name) {
        return true;
      }
    }
  }
  return false;
}

bool ElfFile::Contains(std::string_view text) const {
  return bytes_ != nullptr && memmem(bytes_, size_, text.data(), text.size()) != nullptr;
}

std::vector<ElfFile::Reference> ElfFile::References(
    const std::vector<std::string_view>& prefixes) const {
  std::vector<Reference> found;
  const auto* header = At<Elf64_Ehdr>(0);
  for (uint32_t i = 0; header != nullptr && i < header->e_shnum; ++i) {
    const auto* section = At<Elf64_Shdr>(header->e_shoff + uint64_t{i} * sizeof(Elf64_Shdr));
    if (section == nullptr || section->sh_type != SHT_RELA) continue;
    const Table relocations = SectionNumber(i);
    const Table symbols = SectionNumber(relocations.link);
    const Table strings = SectionNumber(symbols.link);
    for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= relocations.bytes; at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, relocations.data + at, sizeof relocation);
      const auto type = static_cast<uint32_t>(ELF64_R_TYPE(relocation.r_info));
      const uint64_t place = ELF64_R_SYM(relocation.r_info) * sizeof(Elf64_Sym);
      if ((type != kJumpSlot && type != kGlobalData) || place + sizeof(Elf64_Sym) > symbols.bytes) {
        continue;
      }
      Elf64_Sym symbol;
      std::memcpy(&symbol, symbols.data + place, sizeof symbol);
      const std::string_view name = TextAt(strings, symbol.st_name);
      for (const std::string_view prefix : prefixes) {
        if (name.substr(0, prefix.size()) != prefix) continue;
        found.push_back({std::string(name), relocation.r_offset});
        break;
      }
    }
  }
  return found;
}

}  // namespace mfutrace::cli
