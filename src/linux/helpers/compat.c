// SPDX-License-Identifier: GPL-2.0
/*
 * What some of the supported kernels lack. compat.rs uses it in the place of what the `kernel`
 * crate has on others.
 */

#if !__has_include("linux/interrupt_rc.h")

#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/spinlock.h>

/*
 * Interrupts that are disabled more than once are enabled again by the last that enables them.
 * Kernels that have this keep the count in preempt_count. Here it is a variable of the CPU: while
 * it is not zero, nothing else that could change it runs on the CPU.
 */
static DEFINE_PER_CPU(unsigned int, remap_interrupts_disabled);
static DEFINE_PER_CPU(unsigned long, remap_interrupt_state);

void remap_helper_local_interrupt_disable(void)
{
	unsigned long flags;

	preempt_disable();
	local_irq_save(flags);
	if (__this_cpu_inc_return(remap_interrupts_disabled) == 1)
		__this_cpu_write(remap_interrupt_state, flags);
}

void remap_helper_local_interrupt_enable(void)
{
	if (__this_cpu_dec_return(remap_interrupts_disabled) == 0)
		local_irq_restore(__this_cpu_read(remap_interrupt_state));
	/* After interrupts are enabled, since it may schedule. */
	preempt_enable();
}

/* As in the kernel, a lock that sleeps disables nothing. */
static void remap_interrupts_off(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		remap_helper_local_interrupt_disable();
}

static void remap_interrupts_on(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		remap_helper_local_interrupt_enable();
}

void remap_helper_spin_lock_irq_disable(spinlock_t *lock)
{
	remap_interrupts_off();
	spin_lock(lock);
}

void remap_helper_spin_unlock_irq_enable(spinlock_t *lock)
{
	spin_unlock(lock);
	remap_interrupts_on();
}

bool remap_helper_spin_trylock_irq_disable(spinlock_t *lock)
{
	bool taken;

	remap_interrupts_off();
	taken = spin_trylock(lock);
	if (!taken)
		remap_interrupts_on();
	return taken;
}

#endif
