// SPDX-License-Identifier: GPL-2.0
/*
 * The per-CPU operations of the in-flight gate (see gate.rs, which has the proof) and of counters.
 * They are on the path of every bio. this_cpu_inc() is one instruction, and Rust has no per-CPU
 * access.
 */

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>

#include <asm/local.h>

/*
 * User-mode Linux has no per-CPU instructions. Its this_cpu_inc() turns interrupts off and on
 * again, which costs more than the rest of the path, and on several CPUs two system calls.
 */
static __always_inline void count(u64 __percpu *counter)
{
	if (IS_ENABLED(CONFIG_UML)) {
		preempt_disable();
		local_inc((local_t *)raw_cpu_ptr(counter));
		preempt_enable();
	} else {
		this_cpu_inc(*counter);
	}
}

/*
 * Counts an entry of `kind`, 0 or 1, under the current epoch. Returns the state word, whose bit 1
 * is the epoch. The section without preemption is an RCU reader.
 */
notrace u32 remap_helper_gate_enter(const u32 *state, u64 __percpu *entered, u64 kind)
{
	u32 now;

	preempt_disable();
	/* Pairs with the release of the state in Gate::drain(). */
	now = smp_load_acquire(state);
	count(&entered[(now & 2) + kind]);
	preempt_enable();
	return now;
}

/* For user-mode Linux; percpu.rs has the instruction for others. */
notrace void remap_helper_this_cpu_inc(u64 __percpu *counter)
{
	/* Orders the increment after all earlier reads of the caller. */
	smp_mb__before_atomic();
	count(counter);
}

u64 remap_helper_per_cpu_sum(u64 __percpu *counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	return sum;
}

/* Of another name than the kernel's, which is an inline function on some kernels only. */
void remap_helper_wait_for_readers(void)
{
	synchronize_rcu_expedited();
}

u32 remap_helper_raw_cpu_number(void)
{
	return raw_smp_processor_id();
}
