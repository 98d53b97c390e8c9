// SPDX-License-Identifier: GPL-2.0

#include <linux/bio.h>

/*
 * Writes the sectors of a bio from `first` on, which are not on their way, to `sector` of
 * `bdev`, and waits for the end. What must not wait or be given up early is no longer said of it.
 */
blk_status_t remap_helper_bio_write_part(struct bio *bio, struct bio_set *set, u32 first,
					 u32 sectors, struct block_device *bdev, sector_t sector)
{
	struct bio *part = bio_alloc_clone(bdev, bio, GFP_NOIO, set);
	blk_status_t status;

	if (!part)
		return BLK_STS_RESOURCE;
	bio_trim(part, first, sectors);
	/* It may have been to a partition, and is about to begin anew there. */
	bio_clear_flag(part, BIO_REMAPPED);
	part->bi_opf &= ~(REQ_NOWAIT | REQ_POLLED | REQ_RAHEAD | REQ_FAILFAST_MASK);
	/* A device without a cache has taken it off, and this may be another one. */
	if (bio_op(part) == REQ_OP_WRITE)
		part->bi_opf |= REQ_FUA | REQ_SYNC;
	part->bi_iter.bi_sector = sector;
	submit_bio_wait(part);
	status = part->bi_status;
	bio_put(part);
	return status;
}
