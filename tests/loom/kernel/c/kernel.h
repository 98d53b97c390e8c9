/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What gate.c uses of the kernel, for src/bindings.rs and src/rcu.rs to carry out. The configuration is not that
 * of UML.
 */

typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { long count; } local_t;

#define __percpu
#define notrace
#define __always_inline inline __attribute__((__always_inline__))
#define IS_ENABLED(option) 0

/* src/bindings.rs has the same numbers. */
#define CPUS 2
#define CPU_BYTES 64

void fake_preempt_disable(void);
void fake_preempt_enable(void);
void fake_synchronize_rcu(void);
void fake_smp_mb(void);
u32 fake_load_acquire(const u32 *word);
u32 fake_read_u32(const u32 *word);
u64 fake_read_u64(const u64 *counter);
void fake_this_cpu_inc(u64 *counter);
u32 fake_cpu(void);

/* Of the branch for UML, which is not compiled in. */
void local_inc(local_t *counter);
void *raw_cpu_ptr(u64 *counter);

#define preempt_disable() fake_preempt_disable()
#define preempt_enable() fake_preempt_enable()
#define synchronize_rcu_expedited() fake_synchronize_rcu()
#define smp_mb__before_atomic() fake_smp_mb()
#define smp_load_acquire(word) fake_load_acquire(word)
#define READ_ONCE(x) _Generic((x), u32 : fake_read_u32, u64 : fake_read_u64)(&(x))
#define this_cpu_inc(counter) fake_this_cpu_inc(&(counter))
#define per_cpu_ptr(counter, cpu) ((u64 *)((char *)(counter) + (cpu) * CPU_BYTES))
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < CPUS; (cpu)++)
#define raw_smp_processor_id() fake_cpu()

/* The helpers' prototypes, which bindgen sees in src/linux/bindings.h. */
u32 remap_helper_gate_enter(const u32 *state, u64 *entered, u64 kind);
void remap_helper_this_cpu_inc(u64 *counter);
u64 remap_helper_per_cpu_sum(u64 *counter);
void remap_helper_wait_for_readers(void);
u32 remap_helper_raw_cpu_number(void);
