// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the cost of a bio: submits bios to a block device from within the kernel, without
 * system calls, and reports the time.
 *
 *   cd /sys/kernel/debug/bio_bench
 *   echo "<device> <bios> <in flight> <bytes> <r|w|m> <r|s> <seed> <run> <stride> <hits> \
 *	<batch> <cpus>" > run
 *   cat run	# nanoseconds for all of them
 *   cat clock	# nanoseconds to read the clock, 1000 times
 *
 * Submits reads, writes, or a mixture of seven reads to three writes, in random or sequential
 * order. The device is divided into places of <bytes>, and the places into strides. Each stride
 * begins with a run of places; of a thousand bios <hits> go to runs, and the others to the places
 * between them. If <run> is 0, bios go to all places.
 *
 * A batch submits <in flight> bios at once, under a plug, and waits for all of them. It is for
 * devices that complete each bio within its submission.
 *
 * With one CPU the caller submits the bios. With several, a thread on each of the first <cpus>
 * CPUs submits <bios>.
 *
 * The seed alone determines the places. Under instruction-counting emulation, where an instruction
 * takes a nanosecond, the result is the number of instructions. Two marks, instructions that do
 * nothing and occur nowhere else, surround the measured code for plugins of the emulator (see
 * ../instruction_counter).
 */

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#define MAX_IN_FLIGHT 1024
#define MAX_CPUS 8

#define MARK_START 0x62696f01
#define MARK_END 0x62696f02

struct slot {
	struct bio bio;
	struct bio_vec vecs[256];
	struct run *run;
	unsigned int number;
};

/* Line that was written to `run`. */
struct job {
	struct block_device *bdev;
	unsigned int bios;
	unsigned int depth;
	unsigned int bytes;
	char direction;
	char order;
	u64 seed;
	unsigned int run;
	unsigned int stride;
	unsigned int hits;
	unsigned int batch;
	unsigned int cpus;
};

struct run {
	const struct job *job;
	u64 strides;
	u64 random;
	u64 at;		/* next sequential bio: its stride, and the place in it */
	u64 within;
	u64 began;
	u64 ended;
	int err;
	struct completion done;
	atomic_t errors;
	spinlock_t lock;	/* protects free */
	unsigned int nr_free;
	unsigned int free[MAX_IN_FLIGHT];
	wait_queue_head_t freed;
	struct slot *slots[MAX_IN_FLIGHT];
};

static DEFINE_MUTEX(one_at_a_time);
static u64 last_ns;
static atomic_t not_ready;

/* Executes a long NOP, which does not access its address. */
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
	if (unlikely(wq_has_sleeper(&run->freed)))
		wake_up(&run->freed);
	spin_unlock_irqrestore(&run->lock, flags);
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

/* Returns the next place in order, of the `choice` places from `first` on in each stride. */
static u64 next_in_order(struct run *run, u64 first, u64 choice)
{
	u64 place = run->at * run->job->stride + first + run->within;

	if (++run->within >= choice) {
		run->within = 0;
		if (++run->at >= run->strides)
			run->at = 0;
	}
	return place;
}

/* Returns the place of the next bio, by the same work in every case, which all contestants pay. */
static u64 next_place(struct run *run)
{
	const struct job *job = run->job;
	bool hit = mul_u64_u64_shr(next_random(run), 1000, 64) < job->hits;
	u64 first = hit ? 0 : job->run;
	u64 choice = hit ? job->run : job->stride - job->run;
	u64 random = next_random(run);

	if (job->order == 's')
		return next_in_order(run, first, choice);
	return mul_u64_u64_shr(random, run->strides, 64) * job->stride + first +
	       mul_u64_u64_shr(random * run->strides, choice, 64);
}

static blk_opf_t next_op(struct run *run)
{
	bool write = run->job->direction == 'w';

	if (run->job->direction == 'm')
		write = mul_u64_u64_shr(next_random(run), 10, 64) < 3;
	return write ? REQ_OP_WRITE | REQ_SYNC | REQ_IDLE : REQ_OP_READ;
}

static void submit_one(struct run *run)
{
	unsigned int bytes = run->job->bytes;
	struct slot *slot = take_slot(run);
	struct bio *bio = &slot->bio;

	bio_init(bio, run->job->bdev, slot->vecs, ARRAY_SIZE(slot->vecs), next_op(run));
	bio->bi_vcnt = DIV_ROUND_UP(bytes, PAGE_SIZE);
	bio->bi_iter.bi_size = bytes;
	bio->bi_iter.bi_sector = next_place(run) * (bytes >> SECTOR_SHIFT);
	bio->bi_end_io = slot_end_io;
	submit_bio(bio);
}

static void submit_all(struct run *run)
{
	const struct job *job = run->job;
	struct blk_plug plug;
	unsigned int i, n;

	for (i = 0; i < job->bios; i += n) {
		n = job->batch ? min(job->depth, job->bios - i) : 1;
		if (job->batch)
			blk_start_plug(&plug);
		for (unsigned int k = 0; k < n; k++)
			submit_one(run);
		if (job->batch) {
			blk_finish_plug(&plug);
			wait_event(run->freed, READ_ONCE(run->nr_free) == job->depth);
		}
	}
	wait_event(run->freed, READ_ONCE(run->nr_free) == job->depth);
	/* The last slot_end_io(), on any CPU, may still hold the lock. */
	spin_lock_irq(&run->lock);
	spin_unlock_irq(&run->lock);
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
	for (i = 0; i * PAGE_SIZE < run->job->bytes; i++) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page) {
			free_slot(slot);
			return NULL;
		}
		bvec_set_page(&slot->vecs[i], page, min_t(unsigned int, run->job->bytes, PAGE_SIZE),
			      0);
	}
	return slot;
}

static void free_run(struct run *run)
{
	unsigned int i;

	if (!run)
		return;
	for (i = 0; i < run->job->depth; i++)
		free_slot(run->slots[i]);
	kvfree(run);
}

static struct run *make_run(const struct job *job, unsigned int number)
{
	struct run *run = kvzalloc_obj(*run);
	unsigned int i;

	if (!run)
		return NULL;
	run->job = job;
	run->strides = bdev_nr_bytes(job->bdev) / job->bytes / job->stride;
	run->random = job->seed + number;
	spin_lock_init(&run->lock);
	init_waitqueue_head(&run->freed);
	init_completion(&run->done);
	/* The sequential bios of each run begin at another place. */
	run->at = run->strides * number / job->cpus;
	for (i = 0; i < job->depth; i++) {
		run->slots[i] = make_slot(run, i);
		if (!run->slots[i]) {
			free_run(run);
			return NULL;
		}
		run->free[run->nr_free++] = i;
	}
	return run;
}

static void measure(struct run *run)
{
	mark(MARK_START);
	run->began = ktime_get_ns();
	submit_all(run);
	run->ended = ktime_get_ns();
	mark(MARK_END);
	if (atomic_read(&run->errors))
		run->err = -EIO;
}

static int measure_beside_others(void *data)
{
	struct run *run = data;

	atomic_dec(&not_ready);
	while (atomic_read(&not_ready) > 0)
		cond_resched();
	measure(run);
	complete(&run->done);
	return 0;
}

/* Measures each run in a thread of its own, on the CPU of the run's number. */
static int measure_on_cpus(struct run **runs, unsigned int cpus)
{
	struct task_struct *threads[MAX_CPUS];
	unsigned int i;

	for (i = 0; i < cpus; i++) {
		threads[i] = kthread_create_on_cpu(measure_beside_others, runs[i], i,
						   "bio_bench/%u");
		if (IS_ERR(threads[i])) {
			while (i--)
				kthread_stop(threads[i]);
			return -ENOMEM;
		}
	}
	atomic_set(&not_ready, cpus);
	for (i = 0; i < cpus; i++)
		wake_up_process(threads[i]);
	for (i = 0; i < cpus; i++)
		wait_for_completion(&runs[i]->done);
	return 0;
}

static int carry_out(const struct job *job)
{
	struct run *runs[MAX_CPUS] = { };
	u64 began = U64_MAX, ended = 0;
	unsigned int i;
	int err = 0;

	for (i = 0; i < job->cpus && !err; i++) {
		runs[i] = make_run(job, i);
		if (!runs[i])
			err = -ENOMEM;
	}
	if (!err && job->cpus > 1)
		err = measure_on_cpus(runs, job->cpus);
	else if (!err)
		measure(runs[0]);
	for (i = 0; i < job->cpus && !err; i++) {
		began = min(began, runs[i]->began);
		ended = max(ended, runs[i]->ended);
		err = runs[i]->err;
	}
	if (!err)
		last_ns = ended - began;
	for (i = 0; i < job->cpus; i++)
		free_run(runs[i]);
	return err;
}

static bool is_valid(const struct job *job)
{
	if (!job->bios || !job->depth || job->depth > MAX_IN_FLIGHT || job->bytes < 512 ||
	    job->bytes > (1 << 20) || !is_power_of_2(job->bytes))
		return false;
	if (!strchr("rwm", job->direction) || !strchr("rs", job->order) || !job->seed)
		return false;
	/* Sequential bios go through one part of each stride, so all or none may be hits. */
	if (job->order == 's' && job->hits && job->hits < 1000)
		return false;
	if (job->run >= job->stride || job->hits > 1000 || (job->hits && !job->run))
		return false;
	return job->cpus && job->cpus <= min(num_online_cpus(), MAX_CPUS);
}

#define LINE "%95s %u %u %u %c %c %llu %u %u %u %u %u"

static ssize_t run_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	struct file *bdev_file;
	char line[192], path[96];
	struct job job;
	int err;

	if (len >= sizeof(line) || copy_from_user(line, text, len))
		return -EINVAL;
	line[len] = 0;
	if (sscanf(line, LINE, path, &job.bios, &job.depth, &job.bytes, &job.direction, &job.order,
		   &job.seed, &job.run, &job.stride, &job.hits, &job.batch, &job.cpus) != 12 ||
	    !is_valid(&job))
		return -EINVAL;
	bdev_file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	if (IS_ERR(bdev_file))
		return PTR_ERR(bdev_file);
	job.bdev = file_bdev(bdev_file);
	mutex_lock(&one_at_a_time);
	err = bdev_nr_bytes(job.bdev) / job.bytes < job.stride ? -EINVAL : carry_out(&job);
	mutex_unlock(&one_at_a_time);
	bdev_fput(bdev_file);
	return err ?: len;
}

static ssize_t answer(char __user *text, size_t len, loff_t *pos, u64 ns)
{
	char line[32];
	int size = scnprintf(line, sizeof(line), "%llu\n", ns);

	return simple_read_from_buffer(text, len, pos, line, size);
}

static ssize_t run_read(struct file *file, char __user *text, size_t len, loff_t *pos)
{
	return answer(text, len, pos, last_ns);
}

static ssize_t clock_read(struct file *file, char __user *text, size_t len, loff_t *pos)
{
	u64 began = ktime_get_ns();
	unsigned int i;

	for (i = 0; i < 1000; i++)
		ktime_get_ns();
	return answer(text, len, pos, ktime_get_ns() - began);
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.write = run_write,
	.read = run_read,
	.llseek = default_llseek,
};

static const struct file_operations clock_fops = {
	.owner = THIS_MODULE,
	.read = clock_read,
	.llseek = default_llseek,
};

static struct dentry *bench_dir;

static int __init bio_bench_init(void)
{
	bench_dir = debugfs_create_dir("bio_bench", NULL);
	debugfs_create_file("run", 0600, bench_dir, NULL, &run_fops);
	debugfs_create_file("clock", 0400, bench_dir, NULL, &clock_fops);
	return PTR_ERR_OR_ZERO(bench_dir);
}

static void __exit bio_bench_exit(void)
{
	debugfs_remove(bench_dir);
}

module_init(bio_bench_init);
module_exit(bio_bench_exit);
MODULE_DESCRIPTION("Costs of one bio");
MODULE_LICENSE("GPL");
