// What `mfutrace doctor` must ask of CUDA's libraries: the driver, its devices, CUPTI.
#pragma once

namespace mfutrace::probe {

// Prints the answers; the exit status of the program.
int Survey();

}  // namespace mfutrace::probe
