/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of QEMU's interface for plugins, version 3, that the counter uses: distributions package
 * QEMU without this header. The longest names are shortened.
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stddef.h>

#define EXPORTED __attribute__((visibility("default")))
#define QEMU_PLUGIN_VERSION 3

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

/* Number of each virtual CPU. */
struct qemu_plugin_number {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

/* Registers that a callback uses, and the condition of its call. */
#define NO_REGISTERS 0
#define IF_NOT_EQUAL 3

#define on_instruction qemu_plugin_register_vcpu_insn_exec_cb
#define on_instruction_if qemu_plugin_register_vcpu_insn_exec_cond_cb

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void qemu_plugin_u64_set(struct qemu_plugin_number entry, unsigned int cpu, unsigned long value);

void qemu_plugin_register_vcpu_tb_trans_cb(unsigned long id,
					   void (*translated)(unsigned long id,
							      struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
unsigned long qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void on_instruction(struct qemu_plugin_insn *insn,
		    void (*executed)(unsigned int cpu, void *data), int registers, void *data);
void on_instruction_if(struct qemu_plugin_insn *insn,
		       void (*executed)(unsigned int cpu, void *data), int registers, int condition,
		       struct qemu_plugin_number entry, unsigned long than, void *data);

/* Symbols that QEMU looks for. */
extern EXPORTED int qemu_plugin_version;
EXPORTED int qemu_plugin_install(unsigned long id, const void *info, int argc, char **argv);

#endif
