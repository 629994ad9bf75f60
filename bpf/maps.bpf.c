// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The definitions, the load-time configuration, the licence; nothing else. */
#include "bpf/maps.h"

struct ebb_map_endpoints ebb_endpoint_v2 SEC(".maps");
struct ebb_map_pairs ebb_pair_v2 SEC(".maps");
struct ebb_map_queue ebb_freedst_v2 SEC(".maps");
struct ebb_map_queue ebb_freepair_v2 SEC(".maps");
struct ebb_map_dsts ebb_dst_v2 SEC(".maps");
struct ebb_map_pair_stats ebb_pstat_v2 SEC(".maps");
struct ebb_map_gates ebb_gate_v2 SEC(".maps");
struct ebb_map_verdicts ebb_verdict_v2 SEC(".maps");
struct ebb_map_policies ebb_policy_v2 SEC(".maps");
struct ebb_map_memories ebb_memory_v2 SEC(".maps");
struct ebb_map_agents ebb_agent_v2 SEC(".maps");
struct ebb_map_kernels ebb_kernel_v2 SEC(".maps");
struct ebb_map_conns ebb_conn_v2 SEC(".maps");
struct ebb_map_notes ebb_note_v2 SEC(".maps");
struct ebb_map_notes ebb_unote_v2 SEC(".maps");
struct ebb_map_guesses ebb_guess_v2 SEC(".maps");
struct ebb_map_listeners ebb_listener_v2 SEC(".maps");
struct ebb_map_deafs ebb_deaf_v2 SEC(".maps");
struct ebb_map_counts ebb_count_v2 SEC(".maps");
struct ebb_map_mets ebb_met_v2 SEC(".maps");
struct ebb_map_events ebb_event_v2 SEC(".maps");
struct ebb_map_recorders ebb_recorder_v2 SEC(".maps");
struct ebb_map_records ebb_record_v2 SEC(".maps");
struct ebb_map_tracers ebb_tracer_v2 SEC(".maps");
struct ebb_map_spans ebb_span_v2 SEC(".maps");
struct ebb_map_traceds ebb_traced_v2 SEC(".maps");
struct ebb_map_names ebb_name_v2 SEC(".maps");
struct ebb_map_deeds ebb_deed_v2 SEC(".maps");
struct ebb_map_routes ebb_route_v2 SEC(".maps");
struct ebb_map_ports ebb_port_v2 SEC(".maps");
struct ebb_map_lookups ebb_lookup_v2 SEC(".maps");
struct ebb_map_owns ebb_own_v2 SEC(".maps");
struct ebb_map_workloads ebb_wload_v2 SEC(".maps");
struct ebb_map_shares ebb_found_v2 SEC(".maps");
struct ebb_map_shares ebb_lost_v2 SEC(".maps");
struct ebb_map_answers ebb_answer_v2 SEC(".maps");
struct ebb_map_askeds ebb_asked_v2 SEC(".maps");

const volatile struct ebb_load_config ebb_config = {};

volatile __u32 ebb_replacing = 0;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
