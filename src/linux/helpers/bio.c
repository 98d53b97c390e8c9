// SPDX-License-Identifier: GPL-2.0

#include <linux/bio.h>

/*
 * Writes `sectors` sectors of a bio that is not in flight, from `first` on, to `sector` of
 * `bdev`, and waits. The write is allowed to wait, and is not to be given up early.
 */
blk_status_t remap_helper_bio_write_part(struct bio *bio, struct bio_set *set, u32 first,
					 u32 sectors, struct block_device *bdev, sector_t sector)
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
		part->bi_opf |= REQ_FUA | REQ_SYNC;
	part->bi_iter.bi_sector = sector;
	submit_bio_wait(part);
	status = part->bi_status;
	bio_put(part);
	return status;
}
