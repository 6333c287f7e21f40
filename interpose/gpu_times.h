// The flusher's half of gpu_clock.h: reads finished event pairs as device times, keeps the anchors
// that the devices' epochs hang on, and bounds where those lie on the host's clock.
//
// Flusher thread only. Every CUDA call here happens in relaxed capture mode and on events that were
// never recorded into a capture, so none of them can break one.
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

struct Session;
struct Flusher;

enum class PairState : uint8_t { kUnfinished, kTimed, kUntimed };

// Reads the pair if its GPU work is finished. With `give_up` an unfinished pair is untimed; so is
// one whose context has died. The caller releases its share (ReleasePair) once it is not
// kUnfinished.
PairState ReadPair(Session& session, uint32_t pair, bool give_up, int64_t& begin_ns,
                   int64_t& end_ns);

// This thread may query events while other threads capture. Before the first CUDA call of the
// thread.
void RelaxCaptureMode(Session& session);

// Where an instant of the host's clock lies on the device's; the same shift for the whole session,
// so that it can be inverted. Gives the device its epoch if it has none.
int64_t DeviceTimeOf(Session& session, int32_t device, int64_t host_ns);

// Writes what is known of the devices' clocks: a calibration where due, bounds from the job's
// events.
void SampleClocks(Flusher& flusher, bool is_last);

}  // namespace mfutrace::interpose
