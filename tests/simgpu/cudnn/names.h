// The vendor's names of enumerators, as a plan's JSON spells them.
#pragma once

#include <cstdint>
#include <string>

namespace simgpu::cudnn {

std::string NameOfDataType(int64_t value);
std::string NameOfPointwise(int64_t value);
std::string NameOfReduction(int64_t value);
std::string NameOfReordering(int64_t value);
std::string NameOfMoeMode(int64_t value);
std::string NameOfNorm(int64_t value);
// -1: no such name.
int64_t DataTypeOf(const std::string& name);
int64_t ReorderingOf(const std::string& name);
// "CUDNN_STATUS_BAD_PARAM"; cudnnGetErrorString's text for what is no status.
const char* NameOfStatus(int value);

}  // namespace simgpu::cudnn
