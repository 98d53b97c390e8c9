# SPDX-License-Identifier: GPL-2.0
"""The faults that tests/simulation/planted plants: name, file below src, text, what it becomes, and the kinds of
histories that find it."""

FAULTS = [
    # What an error means, and where a flush goes.
    (
        "declined_reads_count",
        "remap/errors.rs",
        "if blame == Blame::Unknown && bio.fails_early() {",
        "if false && bio.fails_early() {",
        ["swarm"],
    ),
    (
        "empty_spare_flushed",
        "remap/state/spare_cache.rs",
        "let wanted = state & OCCUPIED != 0 && state & (WRITTEN | FLUSHES) != 0;",
        "let wanted = true;",
        ["swarm"],
    ),
    (
        "write_to_spare_not_flushed",
        "remap/map.rs",
        "        table.spare_cache.record_write();\n",
        "        let _ = &table.spare_cache;\n",
        ["crash", "fill"],
    ),
    (
        "suspended_before_the_last_write",
        "remap/mod.rs",
        "            table.wait_for_mover();\n",
        "            let _ = table;\n",
        ["damage", "outage", "shape"],
    ),
    (
        "failed_flush_forgotten",
        "remap/state/spare_cache.rs",
        "let written = if done { 0 } else { WRITTEN };",
        "let written = if done { 0 } else { 0 };",
        ["crash", "swarm", "pair"],
    ),
    (
        "untried_blocks_trip_the_breaker",
        "remap/relocation/rescue.rs",
        "let counts = part.slot.is_none() && part.cause != Cause::Pending;",
        "let counts = part.slot.is_none();",
        ["wholesale"],
    ),
    # A spare area that grows.
    (
        "growth_without_end",
        "core/metadata/store/grow.rs",
        "        self.end_growth(pages)\n",
        "        Ok(())\n",
        ["shape", "crash"],
    ),
    (
        "growth_without_room",
        "core/metadata/store/load.rs",
        "(Some(least), Some(grown)) if least == sectors => Ok(grown),",
        "(Some(_), Some(grown)) => Ok(grown),",
        ["shape", "crash"],
    ),
    # Outages, and evidence.
    (
        "reads_without_witness",
        "remap/witness.rs",
        "            self.check_answers(place, pieces, go_on)?;\n",
        "",
        ["outage"],
    ),
    (
        "second_tries_without_witness",
        "remap/relocation/rescue.rs",
        "if !parts.iter().any(is_doubtful) || self.answers_now(place) {",
        "if !parts.iter().any(is_doubtful) || true {",
        ["exact"],
    ),
    (
        "outage_for_ever",
        "remap/keeper.rs",
        "            self.end_outage(place);\n",
        "",
        ["outage"],
    ),
    (
        "no_outage_is_noticed",
        "remap/witness.rs",
        "        if self.liveness(place).set_out(true) {",
        "        if self.liveness(place).set_out(false) {",
        ["outage", "swarm"],
    ),
    (
        "bad_blocks_trip_the_breaker",
        "remap/relocation/rescue.rs",
        "&& self.takes_writes()",
        "&& !self.takes_writes()",
        ["wholesale"],
    ),
    (
        "written_back_without_drain",
        "remap/relocation/write_back.rs",
        "let written = self.drain().and_then(|()| {",
        "let written = Ok(()).and_then(|()| {",
        ["exact"],
    ),
    (
        "held_for_ever",
        "remap/relocation/write_back.rs",
        "        remaps.end_hold(self.index(), block);\n",
        "",
        ["wholesale"],
    ),
    (
        "one_watch_for_two_devices",
        "remap/witness.rs",
        "if (answers || writes_main) && !self.liveness(other).is_out() {",
        "if answers || writes_main || false && self.liveness(other).is_out() {",
        ["exact"],
    ),
    (
        "witness_that_times_out_ends_the_asking",
        "remap/witness.rs",
        "if matches!(answer, Ok(()) | Err(Meaning::Medium)) {",
        "if answer == Err(Meaning::Path) { break; } if matches!(answer, Ok(()) | Err(Meaning::Medium)) {",
        ["exact"],
    ),
    (
        "always_the_first_witness",
        "remap/witness.rs",
        "let number = passed_over\n",
        "let number = (passed_over & 0)\n",
        ["exact"],
    ),
    (
        "retry_in_an_outage",
        "remap/pending.rs",
        "if self.main_liveness.is_out() {",
        "if false && self.main_liveness.is_out() {",
        ["exact"],
    ),
    # Unread sectors, and their salvage.
    (
        "slot_left_without_an_event",
        "remap/relocation/store.rs",
        "table.health.raise_event();",
        "let _ = &table.health;",
        ["exact"],
    ),
    (
        "salvage_without_drain",
        "remap/relocation/store.rs",
        "        self.begin_pass()?.drain()\n",
        "        self.begin_pass()?;\n        Ok(())\n",
        ["exact"],
    ),
    (
        "stored_over_what_was_written",
        "core/table/lost.rs",
        "read.any_in(sector, 1) && block.is_on_main(sector, 1)",
        "read.any_in(sector, 1) && block.unread.any_in(sector, 1)",
        ["swarm", "crash", "outage"],
    ),
    (
        "stored_in_another_stay",
        "remap/relocation/store.rs",
        "if lost.stay_of(block).0 != Some(stay) || lost.is_unsaved(block) {",
        "if lost.is_unsaved(block) {",
        ["swarm", "crash", "outage"],
    ),
    (
        "unread_sectors_go_home",
        "remap/relocation/copy.rs",
        "while let Some((first, len)) = known.contents_run(from, end) {",
        "while let Some((first, len)) = (from < end).then_some((from, end - from)) {",
        ["swarm", "outage"],
    ),
    (
        "nothing_is_salvaged",
        "remap/keeper.rs",
        "                let _ = this.salvage_all(&mut reader, &|| this.check_keeping());\n",
        "",
        ["outage"],
    ),
    (
        "tried_for_ever",
        "core/table/lost.rs",
        "missing.lost || missing.unread && !self.untried",
        "missing.lost || missing.unread",
        ["swarm", "outage"],
    ),
    # The gate, and who waits for whom.
    (
        "move_without_drain",
        "remap/relocation/pass.rs",
        """        let drained = self.drain();
        let copied = drained.and_then(|()| match contents {""",
        """        let drained: Result = Ok(());
        let copied = drained.and_then(|()| match contents {""",
        ["move"],
    ),
    (
        "home_without_drain",
        "remap/relocation/pass.rs",
        """        let drained = self.drain();
        let copied = drained.and_then(|()| self.copy_home(&mut moves));""",
        "        let copied = self.copy_home(&mut moves);",
        ["move"],
    ),
    (
        "rescue_without_drain",
        "remap/relocation/carry.rs",
        "        let drained = if moves.iter().any(reads) {",
        "        let drained = if moves.iter().any(reads) && false {",
        ["fill", "swarm"],
    ),
    (
        "drain_without_grace_period",
        "linux/gate.rs",
        "unsafe { bindings::wait_for_readers() };",
        "unsafe {};",
        ["gate"],
    ),
    (
        "gate_left_early",
        "remap/map.rs",
        """                bio.redirect(&self.devices.spare, to, inside, true)
            }""",
        """                drop(inside);
                bio.redirect_noted(&self.devices.spare, to, None, true, None)
            }""",
        ["move", "gate"],
    ),
    (
        "held_without_second_look",
        "remap/route.rs",
        "let still = inside.route(self.places.block.block_of(sector)) == Route::Held;",
        "let still = route == Route::Held;",
        ["move", "gate"],
    ),
    (
        "held_bios_forgotten",
        "remap/relocation/pass.rs",
        """        let left = self.finish_unremap(moves, progress);
        table.release_held();""",
        "        let left = self.finish_unremap(moves, progress);",
        ["move"],
    ),
    (
        "failed_bio_left_alone",
        "remap/errors.rs",
        """        // Under the lock: when the bio has ended, the target may go.
        target.wake_queue();""",
        "        let _ = target;",
        ["swarm"],
    ),
    (
        "index_replaced_without_drain",
        "linux/gate.rs",
        """        if let Err(kept) = drain.retired.push_within_capacity(old) {
            core::mem::forget(kept);
        }""",
        """        let _ = drain;
        drop(old);""",
        ["gate", "move", "swarm"],
    ),
    (
        "mutex_in_end_io",
        "remap/errors.rs",
        "let spare = context.mark;",
        """let spare = context.mark;
        drop(self.mover.lock());""",
        ["swarm"],
    ),
    (
        "lock_taken_twice",
        "remap/relocation/pass.rs",
        """            if table.lost.lock().has_lost(block) {
                return if moves""",
        """            let lost = table.lost.lock();
            let has = lost.has_lost(block);
            drop((table.lost.lock(), lost));
            if has {
                return if moves""",
        ["move"],
    ),
    (
        "lock_not_as_listed",
        "remap/route.rs",
        "let mut waiting = self.deferred.held.lock().take();",
        """let mut held = self.deferred.held.lock();
        drop(self.lost.lock());
        let mut waiting = held.take();
        drop(held);""",
        ["move"],
    ),
    # What is durable when.
    (
        "metadata_visible_before_durable",
        "linux/dm_io.rs",
        "let durable = bindings::REQ_PREFLUSH | bindings::REQ_FUA;",
        "let durable = 0;",
        ["crash"],
    ),
    (
        "metadata_without_preflush",
        "linux/dm_io.rs",
        "let durable = bindings::REQ_PREFLUSH | bindings::REQ_FUA;",
        "let durable = bindings::REQ_FUA;",
        ["crash"],
    ),
    (
        "main_not_flushed_homeward",
        "remap/relocation/copy.rs",
        "if table.devices.main.flush().is_err() {",
        "if false {",
        ["crash"],
    ),
    (
        "flush_to_main_only",
        "remap/map.rs",
        "let spare = bio.flush_number() != 0;",
        "let spare = false;",
        ["crash"],
    ),
    (
        "slot_reused_before_its_release",
        "remap/relocation/pass.rs",
        "let recorded = self.record(&mut moves, Toward::Main);",
        "let recorded: Result = Ok(());",
        ["crash"],
    ),
    (
        "failed_slot_reused",
        "core/table/remap_table.rs",
        """        self.tree.replace(block, new);
        index.set(block, Route::Spare { slot: new, lost }""",
        """        let old = self.tree.replace(block, new);
        old.into_iter().for_each(|old| drop(self.spares.release(old)));
        index.set(block, Route::Spare { slot: new, lost }""",
        ["fill", "pages"],
    ),
    (
        "generation_not_raised",
        "core/metadata/store/pages.rs",
        "let next = self.tried(index).saturating_add(1);",
        "let next = self.tried(index).saturating_add(0);",
        ["copies"],
    ),
    (
        "page_written_in_place",
        "core/metadata/store/pages.rs",
        "let next = self.tried(index).saturating_add(1);",
        "let next = self.tried(index).saturating_add(2);",
        ["copies"],
    ),
    (
        "torn_place_written_last",
        "core/metadata/store/pages.rs",
        "Some(Half::Tail) => [Half::Tail, Half::Head],",
        "Some(Half::Tail) => Half::BOTH,",
        ["copies"],
    ),
    (
        "page_in_one_half",
        "core/metadata/store/pages.rs",
        "self.write_places(index, next, &halves, page)",
        "self.write_places(index, next, &halves[..1], page)",
        ["damage"],
    ),
    (
        "turn_not_raised",
        "core/metadata/store/replace.rs",
        "let turn = self.turn_of(block, old, pages)?.next();",
        "let turn = self.turn_of(block, old, pages)?;",
        ["pages"],
    ),
    (
        "slot_replaced_and_not_retired",
        "core/metadata/store/replace.rs",
        "        let _ = self.retire(pages);\n",
        "        self.leaving = None;\n",
        ["pages"],
    ),
    (
        "checksum_not_compared",
        "core/metadata/page.rs",
        "if sum != stored.get() {",
        "if sum == 0 {",
        ["damage", "crash"],
    ),
    (
        "damage_not_put_right",
        "core/metadata/store/load.rs",
        "if !mend || self.put_right(index, &choice, newer, page).is_err() {",
        "if !mend {",
        ["copies", "damage"],
    ),
    # What becomes of an error.
    (
        "uncertain_is_unchanged",
        "remap/relocation/record.rs",
        "Err(CommitError::Uncertain(_)) => Fate::Unsaved,",
        "Err(CommitError::Uncertain(_)) => Fate::Failed,",
        ["fill", "crash", "nth"],
    ),
    (
        "unsaved_block_written",
        "remap/route.rs",
        "        if known.is_unsaved(part.block) {",
        "        if false {",
        ["copies"],
    ),
    (
        "change_not_taken_back",
        "core/metadata/store/commit.rs",
        "            Err(why) => match self.write_next(index, old) {",
        "            Err(why) => match Ok::<(), Unwritable>(drop(old)) {",
        ["fill", "crash"],
    ),
    (
        "failed_rescue_acknowledged",
        "remap/relocation/rescue.rs",
        """                        write.fail(BlockStatus::IO_ERROR)
                    }
                    _ => {}""",
        """                        let _ = write;
                    }
                    _ => {}""",
        ["swarm", "fill"],
    ),
    (
        "failed_read_acknowledged",
        "remap/errors.rs",
        "        bio.end_with(status);\n",
        "        let _ = status;\n        bio.end();\n",
        ["swarm"],
    ),
    (
        "breaker_ignored",
        "core/table/breaker.rs",
        "if recent >= u64::from(limits.count) {",
        "if recent >= u64::from(limits.count) && now == 0 {",
        ["wholesale"],
    ),
    (
        "main_fails_for_ever",
        "remap/state/policy.rs",
        "        self.main_fails.store(0, Relaxed);\n",
        "",
        ["wholesale", "swarm"],
    ),
    (
        "pending_for_ever",
        "remap/relocation/guard.rs",
        "        remaps.clear_pending(self.index(), block);\n",
        "        let _ = (&mut remaps, block);\n",
        ["swarm"],
    ),
    # Lost sectors.
    (
        "fill_acknowledged_early",
        "remap/fill.rs",
        """        let target = bio.target();
        if self.health.metadata() == MetadataState::None {""",
        """        let target = bio.target();
        if true {""",
        ["fill", "crash"],
    ),
    (
        "fill_recorded_after_the_gate",
        "remap/map.rs",
        """        if let Some(part) = fills.filter(|_| status.is_ok()) {
            self.record_fill(part);
        }
""",
        "        let _ = Table::record_fill;\n",
        ["fill"],
    ),
    (
        "filled_counts_as_written",
        "remap/fill.rs",
        """        if self.health.metadata() == MetadataState::None {
            lost.written""",
        """        if true {
            lost.written""",
        ["fill", "crash"],
    ),
    (
        "lost_bit_dropped",
        "remap/relocation/copy.rs",
        "lost.sectors.mark_lost(first.saturating_add(offset), step);",
        "if false { lost.sectors.mark_lost(first.saturating_add(offset), step); }",
        ["swarm"],
    ),
    (
        "lost_sectors_not_inherited",
        "remap/relocation/carry.rs",
        "        table.lost.lock().inherit(moved.block, (first, len), lost);\n",
        "",
        ["fill"],
    ),
    (
        "lost_sectors_read",
        "remap/route.rs",
        "(Source::Nowhere, _) => Met::Nowhere,",
        "(Source::Nowhere, _) => Met::Slot { fills: None },",
        ["swarm"],
    ),
    (
        "lost_sectors_not_saved",
        "remap/state/moves.rs",
        "Some(new) => UnitStates::of(&new.sectors, unit),",
        """Some(_) if unit > 0 => UnitStates::WHOLE,
            Some(new) => UnitStates::of(&new.sectors, unit),""",
        ["crash"],
    ),
    (
        "upgrade_changes_the_layout",
        "core/metadata/superblock.rs",
        """            Self::UPGRADED
        } else {""",
        """            Self::NEW
        } else {""",
        ["crash"],
    ),
    (
        "lost_block_goes_home",
        "remap/relocation/pass.rs",
        """if table.lost.lock().has_lost(block) {
                return if""",
        """if false {
                return if""",
        ["exact"],
    ),
    # Tables that come and go.
    (
        "messages_while_suspended",
        "remap/state/mover.rs",
        "TableState::Loaded | TableState::Suspended => Err(EAGAIN),",
        "TableState::Loaded | TableState::Suspended => Ok(()),",
        ["swarm", "shape"],
    ),
    (
        "scrub_not_settled",
        "remap/life.rs",
        "        self.scrub.settle();\n",
        "",
        ["swarm"],
    ),
    (
        "scrub_outlives_its_table",
        "remap/life.rs",
        "        let _ = self.scrub.stop();\n",
        "",
        ["swarm", "shape"],
    ),
    (
        "longer_block_not_completed",
        "remap/relocation/record.rs",
        "            return io.write(&table.devices.spare, to, buffer, 0);",
        """            let _ = (io, buffer, to);
            return Ok(());""",
        ["shape"],
    ),
    (
        "cut_block_forgotten",
        "remap/state/loaded_area.rs",
        "    check_cut_block(wanted, store.superblock(), &remaps)?;\n",
        "    let _ = check_cut_block(wanted, store.superblock(), &remaps);\n",
        ["shape"],
    ),
    (
        "shorter_length_not_recorded",
        "remap/relocation/record.rs",
        "        if before == places.sectors {",
        "        if before >= places.sectors {",
        ["shape"],
    ),
    (
        "neighbour_overwritten",
        "remap/state/metadata.rs",
        "            .and_then(|part| part.shifted(self.range.start()))",
        "            .and_then(|part| part.shifted(self.range.start() & !0xff))",
        ["pair"],
    ),
    (
        "bio_not_split",
        "remap/map.rs",
        "if inside.all_on_main(first, last) {",
        "if inside.all_on_main(first, first) {",
        ["swarm"],
    ),
    # What users ask.
    (
        "count_checked_after_moving",
        "remap/message.rs",
        "    let message = Message::parse(&bytes, target).map_err(|refusal| {\n",
        """    let message = Message::parse(&bytes, target).map_err(|refusal| {
        if let [command, first, _] = bytes[..] {
            if let Ok(Message::Remap(one)) = Message::parse(&[command, first], target) {
                let _ = table.remap_range(one, Contents::Copied);
            }
        }
""",
        ["swarm"],
    ),
    (
        "policy_set_before_it_is_checked",
        "remap/message.rs",
        "    let message = Message::parse(&bytes, target).map_err(|refusal| {\n",
        """    let message = Message::parse(&bytes, target).map_err(|refusal| {
        if let [b"policy", ..] = bytes[..] {
            table.set_policy(remap_core::interface::arguments::ErrorPolicy::Off);
        }
""",
        ["swarm"],
    ),
    (
        "option_count_not_compared",
        "core/interface/arguments.rs",
        "!= options.len() as u64 {",
        "> u64::MAX - options.len() as u64 {",
        ["swarm"],
    ),
    (
        "refusal_without_its_argument",
        "remap/message.rs",
        'format_args!("{}", Excerpt(refusal.argument)),',
        'format_args!("{}", Excerpt(&refusal.argument[..0])),',
        ["swarm"],
    ),
    # What is told.
    (
        "health_without_event",
        "remap/state/health.rs",
        """        self.events.raise();
    }

    /// Returns the state of the metadata.""",
        """    }

    /// Returns the state of the metadata.""",
        ["swarm", "nth"],
    ),
    (
        "move_not_counted",
        "remap/relocation/rescue.rs",
        "                    table.statistics.auto_remaps.add(1, Relaxed);\n",
        "                    let _ = Relaxed;\n",
        ["swarm", "fill"],
    ),
    (
        "held_bio_counted_twice",
        "remap/route.rs",
        "                    self.statistics.count(Count::held(direction));\n",
        "",
        ["move"],
    ),
    (
        "memory_not_freed",
        "remap/relocation/guard.rs",
        "        drop(before);\n",
        "        core::mem::forget(before);\n",
        ["fill", "swarm"],
    ),
    # The stress manager.
    (
        "failed_start_not_told",
        "stress/manager.rs",
        "            this.enter(&mut this.state.lock(), Phase::Idle);\n",
        "            this.state.lock().phase = Phase::Idle;\n",
        ["stress"],
    ),
    (
        "two_tests_at_once",
        "stress/manager.rs",
        """                return Err(busy(file));
            }
            let was_set""",
        """                if matches!(state.phase, Phase::Running(_)) {
                    return Err(busy(file));
                }
            }
            let was_set""",
        ["stress"],
    ),
    (
        "device_kept_after_refusal",
        "stress/manager.rs",
        "            let others = device.device().openers().saturating_sub(1).max(1);\n",
        """            let device = core::mem::ManuallyDrop::new(device);
            let others = device.device().openers().saturating_sub(1).max(1);
""",
        ["stress"],
    ),
    (
        "thread_without_a_place",
        "stress/run.rs",
        "        self.threads.reserve(1, GFP_KERNEL)?;\n",
        "",
        ["stress"],
    ),
    (
        "end_of_thread_told_early",
        "stress/run.rs",
        """        self.0.present.fetch_sub(1, Full);
        self.0.ending.notify_all();""",
        """        self.0.ending.notify_all();
        self.0.present.fetch_sub(1, Full);""",
        ["stress"],
    ),
    (
        "results_before_the_end",
        "stress/monitor.rs",
        """        drop(end);
        ended(run);""",
        """        ended(run);
        drop(end);""",
        ["stress"],
    ),
    (
        "foreign_writes_forgotten",
        "stress/guard.rs",
        "            self.foreign_writes.store(true, Release);\n",
        "            self.foreign_writes.store(self.hazard().is_none(), Release);\n",
        ["stress"],
    ),
    (
        "written_back_beside_others",
        "stress/guard.rs",
        "        if !self.device.is_only_user() {\n            self.rewriter.close(Closed::Shared);\n        } else if",
        "        if",
        ["stress"],
    ),
    (
        "lent_block_taken_from_the_user",
        "remap/relocation/pass.rs",
        """                // The sender wants it there: it is lent no more.
                self.mover.lent.remove(block);""",
        """                // The sender wants it there, and nobody hears of it.
                let _ = self.mover.lent.get(block);""",
        ["stress"],
    ),
    (
        "lent_blocks_left",
        "stress/remapper.rs",
        "        self.restore();\n",
        "        self.table.end_lending();\n        let _ = Self::restore;\n",
        ["stress"],
    ),
    (
        "suspects_hold_the_news_back",
        "remap/pending.rs",
        "                    self.report_health();\n",
        "",
        ["stress"],
    ),
    (
        "keeper_reports_nothing",
        "remap/keeper.rs",
        """            drop(reader);
            this.report_health();
""",
        "            drop(reader);\n",
        ["exact"],
    ),
    (
        "writes_in_flight_at_the_start_unseen",
        "stress/run.rs",
        "self.watch.lock().foreign_writes |= changed;",
        "let _ = changed;",
        ["stress"],
    ),
    # What a table does at intervals.
    (
        "interval_not_waited_for",
        "remap/keeper.rs",
        "let waits = Iterator::chain(waits, upkeep::wait(this));",
        "let waits = Iterator::chain(waits, None);",
        ["swarm", "shape"],
    ),
    (
        "interval_never_due",
        "remap/upkeep.rs",
        "    if due != Some(0) {",
        "    if due != Some(0) || true {",
        ["swarm", "shape"],
    ),
]
