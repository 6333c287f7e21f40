// A program or library on disk, as far as `mfutrace doctor` asks: what it defines, what it refers
// to and where the linker writes the answers. Reads 64-bit files of this machine's byte order;
// anything else, and damage, is an empty answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mfutrace::cli {

class ElfFile {
 public:
  explicit ElfFile(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  bool is_readable() const { return bytes_ != nullptr; }
  std::vector<std::string> Needed() const;
  // A function of that name is defined here, exported or not (a stripped file tells only what it
  // exports).
  bool Defines(std::string_view name) const;
  bool Contains(std::string_view text) const;

  // A place in memory, relative to where the file is loaded, that holds the address of a function
  // of another file.
  struct Reference {
    std::string name;
    uint64_t offset;
  };
  // Those whose names begin like one of `prefixes`.
  std::vector<Reference> References(const std::vector<std::string_view>& prefixes) const;

 private:
  template <typename Record>
  const Record* At(uint64_t offset, uint64_t count = 1) const;
  // The section of that type, nullptr if there is none; `link`: the one that it refers to.
  struct Table {
    const unsigned char* data = nullptr;
    uint64_t bytes = 0;
    uint32_t link = 0;
  };
  Table SectionOfType(uint32_t type) const;
  Table SectionNumber(uint32_t number) const;
  std::string_view TextAt(const Table& strings, uint64_t offset) const;

  const unsigned char* bytes_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace mfutrace::cli
