// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Knobs that user space sets before load; the verifier then drops the branches not taken. */
#include "core.bpf.h"

const volatile __u64 hb_min_size = 0;
const volatile __u32 hb_by_thread = 0;
const volatile __u32 hb_session = 0;
const volatile __u32 hb_can_fault = 0;
const volatile __u32 hb_unwind = 0;
const volatile __u32 hb_short_frames = HB_SHORT_FRAMES;
const volatile __u32 hb_frames_max = HB_FRAMES_MAX;
const volatile __u32 hb_no_storage = 0;
const volatile __u32 hb_views = 0;
const volatile __u32 hb_never = 0;
const volatile __u64 hb_sample_seed = 0;
const volatile __u32 hb_sampling = 0;
const volatile __u32 hb_budget = 0;
const volatile __u32 hb_sample_shift = HB_SAMPLE_SHIFT;
const volatile __u32 hb_first_faults = 0;
const volatile __u32 hb_page_bits = 12;
const volatile __u32 hb_granule_order = 0;
const volatile __u32 hb_everything = 0;
const volatile __u32 hb_see_pages = 0;
const volatile __u32 hb_cpus = 1;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
