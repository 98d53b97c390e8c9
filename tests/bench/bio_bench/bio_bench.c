// SPDX-License-Identifier: GPL-2.0
/*
 * What one bio costs: submits bios to a block device from a kernel thread's view of the world,
 * without system calls, and tells how long that took.
 *
 *   echo "<device> <bios> <in flight> <bytes> <r|w> <seed> <run> <stride> <a|i|o>" > \
 *	/sys/kernel/debug/bio_bench
 *   cat /sys/kernel/debug/bio_bench     # nanoseconds for all of them
 *
 * A stride of blocks begins with a run: `i` asks for blocks in the run, `o` for those outside of
 * it, `a` for all.
 *
 * The sectors are random, aligned to the size, and follow from the seed alone. Under
 * instruction-counting emulation, where an instruction is a nanosecond, the answer is the number of
 * instructions. An emulator that looks at the instructions finds what is measured between two that
 * do nothing and occur nowhere else (see ../instruction_counter).
 */

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#define MAX_IN_FLIGHT 1024

#define MARK_START 0x62696f01
#define MARK_END 0x62696f02

struct slot {
	struct bio bio;
	struct bio_vec vecs[256];
	struct run *run;
	unsigned int number;
};

struct run {
	struct block_device *bdev;
	unsigned int bytes;
	blk_opf_t opf;
	u64 places;
	u64 stride;
	u64 first;	/* blocks of each stride to choose from */
	u64 choice;
	u64 random;
	atomic_t errors;
	spinlock_t lock;	/* protects free */
	unsigned int nr_free;
	unsigned int free[MAX_IN_FLIGHT];
	wait_queue_head_t freed;
	struct slot *slots[MAX_IN_FLIGHT];
};

static DEFINE_MUTEX(one_at_a_time);
static u64 last_ns;

/* A long NOP: the address in it is not used. */
static __always_inline void mark(unsigned int which)
{
	asm volatile("nopl %c0(%%rax)" : : "i"(which) : "memory");
}

static u64 next_random(struct run *run)
{
	/* xorshift64*, Vigna 2016 */
	run->random ^= run->random >> 12;
	run->random ^= run->random << 25;
	run->random ^= run->random >> 27;
	return run->random * 0x2545F4914F6CDD1DULL;
}

static void slot_end_io(struct bio *bio)
{
	struct slot *slot = container_of(bio, struct slot, bio);
	struct run *run = slot->run;
	unsigned long flags;

	if (bio->bi_status)
		atomic_inc(&run->errors);
	spin_lock_irqsave(&run->lock, flags);
	run->free[run->nr_free++] = slot->number;
	spin_unlock_irqrestore(&run->lock, flags);
	if (unlikely(wq_has_sleeper(&run->freed)))
		wake_up(&run->freed);
}

static struct slot *take_slot(struct run *run)
{
	struct slot *slot = NULL;
	unsigned long flags;

	wait_event(run->freed, READ_ONCE(run->nr_free) > 0);
	spin_lock_irqsave(&run->lock, flags);
	slot = run->slots[run->free[--run->nr_free]];
	spin_unlock_irqrestore(&run->lock, flags);
	return slot;
}

/* The same work whatever is asked for, so that the asking costs the same for everybody. */
static u64 next_place(struct run *run)
{
	u64 random = next_random(run);
	u64 stride = mul_u64_u64_shr(random, run->places, 64) * run->stride;

	return stride + run->first + mul_u64_u64_shr(random * run->places, run->choice, 64);
}

static void submit_one(struct run *run)
{
	struct slot *slot = take_slot(run);
	struct bio *bio = &slot->bio;

	bio_init(bio, run->bdev, slot->vecs, ARRAY_SIZE(slot->vecs), run->opf);
	bio->bi_vcnt = DIV_ROUND_UP(run->bytes, PAGE_SIZE);
	bio->bi_iter.bi_size = run->bytes;
	bio->bi_iter.bi_sector = next_place(run) * (run->bytes >> SECTOR_SHIFT);
	bio->bi_end_io = slot_end_io;
	submit_bio(bio);
}

static void free_slot(struct slot *slot)
{
	unsigned int i;

	if (!slot)
		return;
	for (i = 0; i < ARRAY_SIZE(slot->vecs); i++)
		if (slot->vecs[i].bv_page)
			__free_page(slot->vecs[i].bv_page);
	kvfree(slot);
}

static struct slot *make_slot(struct run *run, unsigned int number)
{
	struct slot *slot = kvzalloc_obj(*slot);
	unsigned int i;

	if (!slot)
		return NULL;
	slot->run = run;
	slot->number = number;
	for (i = 0; i * PAGE_SIZE < run->bytes; i++) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page) {
			free_slot(slot);
			return NULL;
		}
		bvec_set_page(&slot->vecs[i], page, min_t(unsigned int, run->bytes, PAGE_SIZE), 0);
	}
	return slot;
}

static int measure(struct run *run, unsigned int bios, unsigned int depth)
{
	unsigned int i;
	u64 start;
	int err = 0;

	for (i = 0; i < depth; i++) {
		run->slots[i] = make_slot(run, i);
		if (!run->slots[i]) {
			err = -ENOMEM;
			goto out;
		}
		run->free[run->nr_free++] = i;
	}
	mark(MARK_START);
	start = ktime_get_ns();
	for (i = 0; i < bios; i++)
		submit_one(run);
	wait_event(run->freed, READ_ONCE(run->nr_free) == depth);
	last_ns = ktime_get_ns() - start;
	mark(MARK_END);
	if (atomic_read(&run->errors))
		err = -EIO;
out:
	for (i = 0; i < depth; i++)
		free_slot(run->slots[i]);
	return err;
}

static ssize_t bench_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	unsigned int bios, depth, bytes, run_of, stride;
	char line[160], path[96], rw, where;
	struct file *bdev_file;
	struct run *run;
	u64 seed;
	int err;

	if (len >= sizeof(line) || copy_from_user(line, text, len))
		return -EINVAL;
	line[len] = 0;
	if (sscanf(line, "%95s %u %u %u %c %llu %u %u %c", path, &bios, &depth, &bytes, &rw, &seed,
		   &run_of, &stride, &where) != 9 ||
	    !depth || depth > MAX_IN_FLIGHT || bytes < 512 || bytes > (1 << 20) ||
	    !is_power_of_2(bytes) || (rw != 'r' && rw != 'w') || !seed ||
	    (where != 'a' && run_of >= stride))
		return -EINVAL;
	run = kvzalloc_obj(*run);
	if (!run)
		return -ENOMEM;
	bdev_file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	if (IS_ERR(bdev_file)) {
		err = PTR_ERR(bdev_file);
		goto out;
	}
	run->bdev = file_bdev(bdev_file);
	run->bytes = bytes;
	run->opf = rw == 'r' ? REQ_OP_READ : REQ_OP_WRITE | REQ_SYNC | REQ_IDLE;
	run->stride = where == 'a' ? 1 : stride;
	run->first = where == 'o' ? run_of : 0;
	run->choice = where == 'a' ? 1 : where == 'i' ? run_of : stride - run_of;
	run->places = bdev_nr_bytes(run->bdev) / bytes / run->stride;
	run->random = seed;
	spin_lock_init(&run->lock);
	init_waitqueue_head(&run->freed);
	mutex_lock(&one_at_a_time);
	err = measure(run, bios, depth);
	mutex_unlock(&one_at_a_time);
	bdev_fput(bdev_file);
out:
	kvfree(run);
	return err ?: len;
}

static ssize_t bench_read(struct file *file, char __user *text, size_t len, loff_t *pos)
{
	char line[32];
	int size = scnprintf(line, sizeof(line), "%llu\n", last_ns);

	return simple_read_from_buffer(text, len, pos, line, size);
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.write = bench_write,
	.read = bench_read,
	.llseek = default_llseek,
};

static struct dentry *bench_file;

static int __init bio_bench_init(void)
{
	bench_file = debugfs_create_file("bio_bench", 0600, NULL, NULL, &bench_fops);
	return PTR_ERR_OR_ZERO(bench_file);
}

static void __exit bio_bench_exit(void)
{
	debugfs_remove(bench_file);
}

module_init(bio_bench_init);
module_exit(bio_bench_exit);
MODULE_DESCRIPTION("Costs of one bio");
MODULE_LICENSE("GPL");
