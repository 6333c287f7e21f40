// The fields of everything in a summary, in the order of the file. Used by summary_file.cc alone.
//
// Each struct is taken apart by a structured binding: one with a new member does not compile until
// the member is named here. New members go to the end of the list, wherever they stand in the
// struct, because a file written before has none of them.
#pragma once

#include "report/analyze/archive.h"
#include "report/analyze/summary.h"

namespace mfutrace::report {

template <typename Archive>
void Describe(Archive& archive, Interval& value) {
  auto& [begin_ns, end_ns] = value;
  archive(begin_ns, end_ns);
}

template <typename Archive>
void Describe(Archive& archive, StateTimes& value) {
  auto& [ns, counted_ns] = value;
  archive(ns, counted_ns);
}

template <typename Archive>
void Describe(Archive& archive, CommunicatorTimes& value) {
  auto& [union_ns, touch_ns, exclusive_ns, shared_ns] = value;
  archive(union_ns, touch_ns, exclusive_ns, shared_ns);
}

template <typename Archive>
void Describe(Archive& archive, FlopSums& value) {
  auto& [executed, model, full_attention, executed_by_kind, executed_by_rate, model_by_rate,
         executed_without_rate, untimed_by_rate, beyond_peak_ps, executed_bound] = value;
  archive(executed, model, full_attention, executed_by_kind, executed_by_rate, model_by_rate,
          executed_without_rate, untimed_by_rate, beyond_peak_ps, executed_bound);
}

template <typename Archive>
void Describe(Archive& archive, StepSums& value) {
  auto& [name, window, times, flop, kernel_ns, has_straddling_calls, has_gap_after, times_to_next,
         flop_to_next, kernel_to_next_ns] = value;
  archive(name, window, times, flop, kernel_ns, has_straddling_calls, times_to_next, flop_to_next,
          kernel_to_next_ns, has_gap_after);
}

template <typename Archive>
void Describe(Archive& archive, StraddlingCalls& value) {
  auto& [first_piece, last_piece, flop] = value;
  archive(first_piece, last_piece, flop);
}

template <typename Archive>
void Describe(Archive& archive, ExposedByPiece& value) {
  auto& [shared_ns, matched_ns, wait_ns] = value;
  archive(shared_ns, matched_ns, wait_ns);
}

template <typename Archive>
void Describe(Archive& archive, CommunicatorWaits& value) {
  auto& [is_known, wait_ns, transfer_ns] = value;
  archive(is_known, wait_ns, transfer_ns);
}

template <typename Archive>
void Describe(Archive& archive, Communicator& value) {
  auto& [id, name, size, rank, ranks] = value;
  archive(id, name, size, rank, ranks);
}

template <typename Archive>
void Describe(Archive& archive, CollectiveSignature& value) {
  auto& [communicator, kind, peer, bytes, bus_bytes] = value;
  archive(communicator, kind, peer, bytes, bus_bytes);
}

// Bit fields cannot be bound.
template <typename Archive>
void Describe(Archive& archive, CollectiveRecord& value) {
  int64_t duration_ns = value.end_ns - value.begin_ns;
  uint32_t signature = value.signature;
  bool shares_interval = value.shares_interval != 0;
  archive(value.begin_ns, duration_ns, value.sequence, signature, shares_interval,
          value.compute_before_ns, value.elsewhere_before_ns);
  value.end_ns = value.begin_ns + duration_ns;
  value.signature = signature & 0x7fffffffu;
  value.shares_interval = shares_interval ? 1 : 0;
}

template <typename Archive>
void Describe(Archive& archive, ExposedTime::Piece& value) {
  auto& [begin_ns, end_ns, before_ns] = value;
  archive(begin_ns, end_ns, before_ns);
}

template <typename Archive>
void Describe(Archive& archive, ExposedTime& value) {
  auto [pieces, total_ns] = value.Parts();
  archive(pieces, total_ns);
  value.SetParts(std::move(pieces), total_ns);
}

template <typename Archive>
void Describe(Archive& archive, DeviceCollectives& value) {
  auto& [signatures, records, exposed] = value;
  archive(signatures, records, exposed);
}

template <typename Archive>
void Describe(Archive& archive, TrafficShape& value) {
  auto& [calls, bytes, calls_by_size, calls_by_position, calls_in_steps, steps, devices,
         message_intervals, two_way_intervals, on_compute_stream, timed_calls, messages, busy_ns,
         exposed_ns, order] = value;
  archive(calls, bytes, calls_by_size, calls_by_position, calls_in_steps, steps, devices,
          message_intervals, two_way_intervals, on_compute_stream, timed_calls, messages, busy_ns,
          exposed_ns, order);
}

template <typename Archive>
void Describe(Archive& archive, OpResult& value) {
  auto& [label, kind, dtype, provenance, calls, flop_executed, flop_model, bytes_least, time_ns,
         timed_calls, peak_flop_per_s, memory_bytes_per_s, roofline_ns_per_call, bound] = value;
  archive(label, kind, dtype, provenance, calls, flop_executed, flop_model, bytes_least, time_ns,
          timed_calls, peak_flop_per_s, memory_bytes_per_s, roofline_ns_per_call, bound);
}

template <typename Archive>
void Describe(Archive& archive, Quality& value) {
  auto& [dropped, untimed, captured, damaged_files, notes, counters] = value;
  archive(dropped, untimed, captured, damaged_files, notes, counters);
}

template <typename Archive>
void Describe(Archive& archive, HtaCompat& value) {
  auto& [compute_us, comm_us, overlap_us, overlap_pct, idle_us, non_compute_us, span_us, steps] =
      value;
  archive(compute_us, comm_us, overlap_us, overlap_pct, idle_us, non_compute_us, span_us, steps);
}

template <typename Archive>
void Describe(Archive& archive, UsedPeaks& value) {
  auto& [flop_per_s, memory_bytes_per_s] = value;
  archive(flop_per_s, memory_bytes_per_s);
}

template <typename Archive>
void Describe(Archive& archive, ModelKey& value) {
  auto& [heads_q, heads_kv, head_dim_qk, head_dim_v] = value;
  archive(heads_q, heads_kv, head_dim_qk, head_dim_v);
}

template <typename Archive>
void Describe(Archive& archive, Model& value) {
  auto& [keys, layers, passes] = value;
  archive(keys, layers, passes);
}

template <typename Archive>
void Describe(Archive& archive, PhaseSums& value) {
  auto& [attention_calls, calls, passes, passes_are_known, flop, bytes_least, rejected,
         rejected_is_known, busy_ns, span_ns, new_tokens, generated, context_tokens,
         tokens_are_bounds, context_is_known, kv_bytes, kv_is_known, kv_is_bound, sequences,
         pass_ns] = value;
  archive(attention_calls, calls, passes, passes_are_known, flop, bytes_least, rejected,
          rejected_is_known, busy_ns, span_ns, new_tokens, context_tokens, tokens_are_bounds,
          context_is_known, kv_bytes, kv_is_known, kv_is_bound, sequences, pass_ns, generated);
}

template <typename Archive>
void Describe(Archive& archive, Slices& value) {
  auto& [slice_ns, busy_ns, at_peak_ps_1000, new_tokens] = value;
  archive(slice_ns, busy_ns, at_peak_ps_1000, new_tokens);
}

template <typename Archive>
void Describe(Archive& archive, SpeculationResult& value) {
  auto& [role, steps, draft_passes, drafted, sequence_steps, sequence_steps_known, drafted_known,
         accepted, tokens, verify_flop_known, verify_flop_useful, verify_flop, draft_flop] = value;
  archive(role, steps, draft_passes, drafted, sequence_steps, sequence_steps_known, drafted_known,
          accepted, tokens, verify_flop_known, verify_flop_useful, verify_flop, draft_flop);
}

template <typename Archive>
void Describe(Archive& archive, ServingSums& value) {
  auto& [is_serving, role, has_times, are_steps_known, from_marks, busy_ns, idle_in_step_ns,
         waiting_ns, models, phases, speculation, target, draft, slices, notes] = value;
  archive(is_serving, role, has_times, are_steps_known, from_marks, busy_ns, idle_in_step_ns,
          waiting_ns, models, phases, speculation, target, draft, slices, notes);
}

template <typename Archive>
void Describe(Archive& archive, ExpertsKey& value) {
  auto& [out, in, is_gradient, dtype] = value;
  archive(out, in, is_gradient, dtype);
}

template <typename Archive>
void Describe(Archive& archive, ExpertsSums& value) {
  auto& [calls, fewest_groups, most_groups, flop, rows, rows_are_known, by_place, imbalances, idle,
         calls_with_router, router_experts, router_tokens, router_rows] = value;
  archive(calls, fewest_groups, most_groups, flop, rows, rows_are_known, by_place, imbalances, idle,
          calls_with_router, router_experts, router_tokens, router_rows);
}

template <typename Archive>
void Describe(Archive& archive, ExchangeSums& value) {
  auto& [sent_bytes, received_bytes] = value;
  archive(sent_bytes, received_bytes);
}

template <typename Archive>
void Describe(Archive& archive, ExpertsOfDevice& value) {
  auto& [products, exchanges] = value;
  archive(products, exchanges);
}

template <typename Archive>
void Describe(Archive& archive, StepCalls::Run& value) {
  auto& [first_step, calls] = value;
  archive(first_step, calls);
}

template <typename Archive>
void Describe(Archive& archive, StepCalls& value) {
  auto& [label, kind, dtype, provenance, collective, communicator, rate, flop_executed, flop_model,
         bytes, by_step, timed_steps, step_time_ns, step_time_squares] = value;
  archive(label, kind, dtype, provenance, collective, communicator, rate, flop_executed, flop_model,
          bytes, by_step, timed_steps, step_time_ns, step_time_squares);
}

template <typename Archive>
void Describe(Archive& archive, DeviceStepCalls& value) {
  auto& [rows, unclear_steps] = value;
  archive(rows, unclear_steps);
}

template <typename Archive>
void Describe(Archive& archive, AttentionRecompute& value) {
  auto& [forward_calls, backward_calls, recomputed_calls, flop] = value;
  archive(forward_calls, backward_calls, recomputed_calls, flop);
}

template <typename Archive>
void Describe(Archive& archive, Sampling& value) {
  auto& [asked, is_partial, host, device, calls_outside, timed_ns, timed_calls, untimed_ns,
         untimed_calls, cost_ppm, limit_ns] = value;
  archive(asked, is_partial, host, device, calls_outside, timed_ns, timed_calls, untimed_ns,
          untimed_calls, cost_ppm, limit_ns);
}

template <typename Archive>
void Describe(Archive& archive, OwnCost& value) {
  auto& [probed_calls, probed_ns, flusher_cpu_ns, process_ns, event_gpu_ns, event_resolution_ns] =
      value;
  archive(probed_calls, probed_ns, flusher_cpu_ns, process_ns, event_gpu_ns, event_resolution_ns);
}

template <typename Archive>
void Describe(Archive& archive, OtherKernel& value) {
  auto& [name, is_communication, kernels, time_ns, launches] = value;
  archive(name, is_communication, kernels, time_ns, launches);
}

template <typename Archive>
void Describe(Archive& archive, DeviceSummary& value) {
  auto& [source, path, host, command, gpu, timing, timing_reason, rank, device, pid,
         restart_attempt, world_size, is_empty, knowledge, clock_residual_ns, window_ns, timed_ns,
         times, flop, timed_flop, sampling, own_cost, steps, steps_are_marks, straddling, kernel_ns,
         communicators, communicator_times, exposed, collectives, waits, strategies, traffic,
         communicator_ops, communicator_bytes, communicator_bus_bytes, communicator_counted_ns, ops,
         op_rates, serving, experts, attention_recompute, step_calls, versions, quality, used_peaks,
         compat_hta, other_kernels] = value;
  archive(source, path, host, command, gpu, timing, timing_reason, rank, device, pid,
          restart_attempt, world_size, is_empty, knowledge, clock_residual_ns, window_ns, times,
          flop, steps, steps_are_marks, straddling, kernel_ns, communicators, communicator_times,
          exposed, collectives, waits, strategies, traffic, communicator_ops, communicator_bytes,
          communicator_bus_bytes, communicator_counted_ns, ops, op_rates, serving, experts,
          step_calls, versions, quality, used_peaks, compat_hta, timed_ns, timed_flop, sampling,
          own_cost, other_kernels, attention_recompute);
}

}  // namespace mfutrace::report
