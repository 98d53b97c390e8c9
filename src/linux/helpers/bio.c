// SPDX-License-Identifier: GPL-2.0

#include <linux/bio.h>
#include <linux/device-mapper.h>

/* Submits a part of `clone`, which device-mapper has made for the target. */
static void submit_part(struct bio *part, void *clone)
{
	/* Starts the mapped device's accounting, and takes the submitter's control group. */
	dm_submit_bio_remap(clone, part);
}

/*
 * Submits `sectors` sectors of a bio that is not in flight, from `first` on, to `sector` of
 * `bdev`, and waits. The part is allowed to wait, and is not to be given up early. The bio is a
 * clone that device-mapper has made for the target.
 */
blk_status_t remap_helper_bio_transfer_part(struct bio *bio, struct bio_set *set, u32 first,
					    u32 sectors, struct block_device *bdev,
					    sector_t sector)
{
	struct bio *part = bio_alloc_clone(bdev, bio, GFP_NOIO, set);
	blk_status_t status;

	if (!part)
		return BLK_STS_RESOURCE;
	bio_trim(part, first, sectors);
	/* The clone may go to a partition, whose start is not added to its sector yet. */
	bio_clear_flag(part, BIO_REMAPPED);
	part->bi_opf &= ~(REQ_NOWAIT | REQ_POLLED | REQ_RAHEAD | REQ_FAILFAST_MASK);
	/* The block layer clears FUA for a device without a cache; this one may have one. */
	if (bio_op(part) == REQ_OP_WRITE)
		part->bi_opf |= REQ_FUA;
	/*
	 * Other bios wait for this one, whatever their control groups. So it is charged to its
	 * own group, but not delayed by the limits of that (bio_issue_as_root_blkg()).
	 */
	part->bi_opf |= REQ_META;
	part->bi_iter.bi_sector = sector;
	bio_await(part, bio, submit_part);
	status = part->bi_status;
	bio_put(part);
	return status;
}
