// SPDX-License-Identifier: GPL-2.0
/*
 * Plugin for QEMU that counts how often each instruction is executed while bio_bench measures.
 *
 *   qemu-system-x86_64 -accel tcg,thread=single -plugin file=instruction_counter.so,out=FILE
 *
 * For each measured run FILE gets a line `run`, and then lines of an address and its count. There
 * is one virtual CPU in one thread, so there are no locks. If the guest's clock counts
 * instructions, the plugin takes no time of the guest.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

/* bio_bench's marks: nopl 0x62696f01(%rax) and nopl 0x62696f02(%rax). */
static const unsigned char mark[] = { 0x0f, 0x1f, 0x80 };
#define MARK_START 0x62696f01
#define MARK_END 0x62696f02

struct place {
	struct place *next;
	unsigned long address;
	unsigned long count;
};

/* All instructions that were translated, by address. Translated again, they keep their place. */
#define CHAINS 0x100000
static struct place *places[CHAINS];

static FILE *out;
static struct qemu_plugin_number counting;

static struct place *place_at(unsigned long address)
{
	struct place **chain = &places[address % CHAINS];
	struct place *place;

	for (place = *chain; place; place = place->next)
		if (place->address == address)
			return place;
	place = calloc(1, sizeof(*place));
	if (!place)
		abort();
	place->address = address;
	place->next = *chain;
	*chain = place;
	return place;
}

static void count(unsigned int cpu, void *data)
{
	struct place *place = data;

	(void)cpu;
	place->count++;
}

static void start(unsigned int cpu, void *data)
{
	(void)data;
	qemu_plugin_u64_set(counting, cpu, 1);
}

static void end(unsigned int cpu, void *data)
{
	struct place *place;
	int i;

	(void)data;
	qemu_plugin_u64_set(counting, cpu, 0);
	fprintf(out, "run\n");
	for (i = 0; i < CHAINS; i++)
		for (place = places[i]; place; place = place->next)
			if (place->count) {
				fprintf(out, "%lx %lu\n", place->address, place->count);
				place->count = 0;
			}
	fflush(out);
}

/* Returns the mark that an instruction is, or 0. */
static unsigned int mark_of(const struct qemu_plugin_insn *insn)
{
	unsigned char bytes[16];
	unsigned int which;

	if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(mark) + sizeof(which) ||
	    memcmp(bytes, mark, sizeof(mark)))
		return 0;
	memcpy(&which, bytes + sizeof(mark), sizeof(which));
	return which;
}

static void translated(unsigned long id, struct qemu_plugin_tb *tb)
{
	size_t i;

	(void)id;
	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned int which = mark_of(insn);

		if (which == MARK_START || which == MARK_END)
			on_instruction(insn, which == MARK_START ? start : end, NO_REGISTERS, NULL);
		else
			on_instruction_if(insn, count, NO_REGISTERS, IF_NOT_EQUAL, counting, 0,
					  place_at(qemu_plugin_insn_vaddr(insn)));
	}
}

EXPORTED int qemu_plugin_version = QEMU_PLUGIN_VERSION;

EXPORTED int qemu_plugin_install(unsigned long id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "instruction_counter: out=FILE is missing\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	counting.score = qemu_plugin_scoreboard_new(sizeof(unsigned long));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
