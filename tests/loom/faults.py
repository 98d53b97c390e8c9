# SPDX-License-Identifier: GPL-2.0
"""The faults that tests/loom/planted plants: name, file below src, text, what it becomes, and the models that find
it. Those orders that no model misses are in docs/testing.md, with the reason."""

FAULTS = [
    # The cache of the spare.
    (
        "write_looks_early",
        "remap/state/spare_cache.rs",
        "        smp_mb(Read);\n",
        "        let _ = (smp_mb::<Read>, Read);\n",
        ["spare_flush"],
    ),
    (
        "flush_in_flight_not_counted",
        "remap/state/spare_cache.rs",
        "state & (WRITTEN | FLUSHES) != 0",
        "state & WRITTEN != 0",
        ["spare_flush"],
    ),
    # The gate.
    (
        "replacement_relaxed",
        "linux/gate.rs",
        "self.guarded.store(KBox::into_raw(new), Ordering::Release);",
        "self.guarded.store(KBox::into_raw(new), Ordering::Relaxed);",
        ["gate_freed_after_drain"],
    ),
    (
        "guarded_read_relaxed",
        "linux/gate.rs",
        """        // any time since we entered is only freed by a drain that waits for us.
        unsafe { &*self.gate.guarded.load(Ordering::Acquire) }""",
        "        unsafe { &*self.gate.guarded.load(Ordering::Relaxed) }",
        ["gate_freed_after_drain"],
    ),
    (
        "flip_relaxed",
        "linux/gate.rs",
        "state & !mask | bits & mask, Full)",
        "state & !mask | bits & mask, Relaxed)",
        ["gate_drain_waits"],
    ),
    (
        "state_set_not_at_once",
        "linux/gate.rs",
        """            match self.state.cmpxchg(state, state & !mask | bits & mask, Full) {
                Ok(_) => return,
                Err(other) => state = other,
            }""",
        """            self.state.store(state & !mask | bits & mask, kernel::sync::atomic::Release);
            state = 0;
            if state == 0 {
                return;
            }""",
        ["gate_marks"],
    ),
    (
        "epoch_read_relaxed",
        "linux/helpers/gate.c",
        "now = smp_load_acquire(state);",
        "now = READ_ONCE(*state);",
        ["gate_drain_waits"],
    ),
    (
        "entry_without_section",
        "linux/helpers/gate.c",
        """	preempt_disable();
	/* Pairs with the release of the state in Gate::drain(). */
	now = smp_load_acquire(state);
	count(&entered[(now & 2) + kind]);
	preempt_enable();
""",
        """	now = smp_load_acquire(state);
	count(&entered[(now & 2) + kind]);
""",
        ["gate_drain_waits"],
    ),
    (
        "entry_counted_after_the_section",
        "linux/helpers/gate.c",
        """	count(&entered[(now & 2) + kind]);
	preempt_enable();
""",
        """	preempt_enable();
	count(&entered[(now & 2) + kind]);
""",
        ["gate_drain_waits"],
    ),
    (
        "exit_without_barrier",
        "linux/helpers/gate.c",
        "	smp_mb__before_atomic();\n",
        "",
        ["gate_drain_waits"],
    ),
    (
        "drain_without_grace_period",
        "linux/gate.rs",
        "unsafe { bindings::wait_for_readers() };",
        "unsafe {};",
        ["gate_drain_waits"],
    ),
    (
        "sums_without_barrier",
        "linux/gate.rs",
        """        smp_mb(Full);
""",
        "        let _ = smp_mb;\n",
        ["gate_drain_waits", "gate_shared_counters"],
    ),
    (
        "entries_summed_first",
        "linux/gate.rs",
        """        let left = counters.sum(LEFT + epoch as usize);
""",
        """        let early = counters.sum(epoch as usize) + counters.sum(epoch as usize + 1);
        let left = counters.sum(LEFT + epoch as usize);
        if early == left {
            return 0;
        }
""",
        ["gate_shared_counters"],
    ),
    (
        "unfinished_drain_forgotten",
        "linux/gate.rs",
        "        self.settle(drain, patience)?;\n",
        "",
        ["gate_gave_up"],
    ),
    (
        "freed_before_the_end_of_the_drain",
        "linux/gate.rs",
        """        self.wait(epoch, started, patience)?;
        drain.unfinished = None;
        drain.retired.clear();""",
        """        drain.retired.clear();
        self.wait(epoch, started, patience)?;
        drain.unfinished = None;""",
        ["gate_freed_after_drain"],
    ),
    # The index.
    (
        "cell_stored_relaxed",
        "core/table/index.rs",
        ".store(new, Ordering::Release);",
        ".store(new, Ordering::Relaxed);",
        ["index_change"],
    ),
    (
        "cell_read_relaxed",
        "core/table/index.rs",
        "let value = cells.get(at & mask)?.load(Ordering::Acquire);",
        "let value = cells.get(at & mask)?.load(Ordering::Relaxed);",
        ["index_change"],
    ),
    (
        "bit_set_relaxed",
        "core/table/index.rs",
        "word.fetch_or(1 << (block & 63), Ordering::Release)",
        "word.fetch_or(1 << (block & 63), Ordering::Relaxed)",
        ["index_insertion"],
    ),
    (
        "bit_read_relaxed",
        "core/table/index.rs",
        "word.load(Ordering::Acquire) & 1 << (block & 63) == 0",
        "word.load(Ordering::Relaxed) & 1 << (block & 63) == 0",
        ["index_insertion"],
    ),
    (
        "bits_read_relaxed",
        "core/table/index.rs",
        "Some(word) if word.load(Ordering::Acquire) & mask == 0 => {}",
        "Some(word) if word.load(Ordering::Relaxed) & mask == 0 => {}",
        ["index_insertion"],
    ),
    (
        "bit_set_before_the_cell",
        "core/table/index.rs",
        """        ranks::store(self.ranks.as_ref(), group, Rank::NONE);
""",
        """        ranks::store(self.ranks.as_ref(), group, Rank::NONE);
        if let Some(word) = self.filter_word(group).filter(|_| new != REMOVED) {
            word.fetch_or(1 << (block & 63), Ordering::Release);
        }
""",
        ["index_insertion"],
    ),
    (
        "rank_stored_relaxed",
        "core/table/index/ranks.rs",
        "pair.store(all, Ordering::Release);",
        "pair.store(all, Ordering::Relaxed);",
        ["index_change"],
    ),
    (
        "rank_read_relaxed",
        "core/table/index/ranks.rs",
        "Some(pair) => Rank((pair.load(Ordering::Acquire) >> shift(group)) as u32),",
        "Some(pair) => Rank((pair.load(Ordering::Relaxed) >> shift(group)) as u32),",
        ["index_change"],
    ),
    (
        "rank_kept",
        "core/table/index.rs",
        "        ranks::store(self.ranks.as_ref(), group, Rank::NONE);\n",
        "",
        ["index_change"],
    ),
    (
        "rank_taken_away_after_the_cell",
        "core/table/index.rs",
        """        ranks::store(self.ranks.as_ref(), group, Rank::NONE);
        reusable
            .filter(|_| value == EMPTY)
            .unwrap_or(cell)
            .store(new, Ordering::Release);
""",
        """        reusable
            .filter(|_| value == EMPTY)
            .unwrap_or(cell)
            .store(new, Ordering::Release);
        ranks::store(self.ranks.as_ref(), group, Rank::NONE);
""",
        ["index_change"],
    ),
    (
        "rank_of_another_word",
        "core/table/index/ranks.rs",
        "(self.0 >> SLOT_BITS == word.count_ones() && word >> bit & 1 != 0)",
        "(self != Self::NONE && word >> bit & 1 != 0)",
        ["index_neighbour_below"],
    ),
    (
        "rank_given_before_the_cell",
        "core/table/index.rs",
        """        ranks::store(self.ranks.as_ref(), group, Rank::NONE);
""",
        """        if let Route::Spare { slot, .. } = route {
            ranks::store(self.ranks.as_ref(), group, Rank::new(slot, 1));
        }
""",
        ["index_change"],
    ),
    # Bios that wait for a block.
    (
        "held_without_second_look",
        "remap/route.rs",
        "let still = inside.route(self.places.block.block_of(sector)) == Route::Held;",
        "let still = route == Route::Held;",
        ["route_held"],
    ),
    (
        "held_seen_before_the_lock",
        "remap/route.rs",
        """                let held = self.deferred.held.lock();
                // A pass that has moved the block takes the list afterwards, under the lock.
                let still = inside.route(self.places.block.block_of(sector)) == Route::Held;""",
        """                let still = inside.route(self.places.block.block_of(sector)) == Route::Held;
                let held = self.deferred.held.lock();""",
        ["route_held"],
    ),
    # OnceArc.
    (
        "once_read_relaxed",
        "linux/once_arc.rs",
        "unsafe { self.pointer.load(Ordering::Acquire).as_ref() }",
        "unsafe { self.pointer.load(Ordering::Relaxed).as_ref() }",
        ["once_arc_published"],
    ),
    (
        "once_put_relaxed",
        "linux/once_arc.rs",
        ".compare_exchange(null, new, Ordering::Release, Ordering::Relaxed);",
        ".compare_exchange(null, new, Ordering::Relaxed, Ordering::Relaxed);",
        ["once_arc_published"],
    ),
    (
        "once_put_not_at_once",
        "linux/once_arc.rs",
        """        let put = self
            .pointer
            .compare_exchange(null, new, Ordering::Release, Ordering::Relaxed);""",
        """        let found = self.pointer.load(Ordering::Relaxed);
        let put = if found == null { Ok(self.pointer.store(new, Ordering::Release)) } else { Err(()) };""",
        ["once_arc_two_setters"],
    ),
    (
        "once_loser_kept",
        "linux/once_arc.rs",
        "drop(unsafe { Arc::from_raw(new) });",
        "let _ = new;",
        ["once_arc_two_setters"],
    ),
    (
        "once_winner_kept",
        "linux/once_arc.rs",
        "            drop(unsafe { Arc::from_raw(pointer) });",
        "            let _ = pointer;",
        ["once_arc_published"],
    ),
]
