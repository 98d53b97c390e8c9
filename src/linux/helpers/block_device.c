// SPDX-License-Identifier: GPL-2.0

#include <linux/blkdev.h>
#include <linux/part_stat.h>

u64 remap_helper_bdev_nr_sectors(struct block_device *bdev)
{
	return bdev_nr_sectors(bdev);
}

u64 remap_helper_bdev_start_sector(struct block_device *bdev)
{
	return bdev->bd_start_sect;
}

u32 remap_helper_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

u32 remap_helper_bdev_physical_block_size(struct block_device *bdev)
{
	return bdev_physical_block_size(bdev);
}

u32 remap_helper_bdev_write_zeroes_sectors(struct block_device *bdev)
{
	return bdev_write_zeroes_sectors(bdev);
}

bool remap_helper_bdev_is_zoned(struct block_device *bdev)
{
	return bdev_is_zoned(bdev);
}

const char *remap_helper_bdev_partition_uuid(struct block_device *bdev)
{
	return bdev->bd_meta_info ? bdev->bd_meta_info->uuid : NULL;
}

/* Returns the length of the disk's unique identifier, or 0 if it has none. */
u32 remap_helper_bdev_unique_id(struct block_device *bdev, u8 id[16])
{
	static const enum blk_unique_id types[] = { BLK_UID_NAA, BLK_UID_EUI64, BLK_UID_T10 };
	struct gendisk *disk = bdev->bd_disk;
	int i, len;

	if (!disk->fops->get_unique_id || bdev_is_partition(bdev))
		return 0;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		len = disk->fops->get_unique_id(disk, id, types[i]);
		if (len > 0 && len <= 16)
			return len;
	}
	return 0;
}

bool remap_helper_bdev_is_gone(struct block_device *bdev)
{
	return test_bit(GD_DEAD, &bdev->bd_disk->state) || !get_capacity(bdev->bd_disk);
}

bool remap_helper_bdev_is_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

u32 remap_helper_bdev_openers(struct block_device *bdev)
{
	return disk_openers(bdev->bd_disk);
}

/* Returns the number of sectors that all users together have written and discarded. */
u64 remap_helper_bdev_changed_sectors(struct block_device *bdev)
{
	return part_stat_read(bdev, sectors[STAT_WRITE]) +
	       part_stat_read(bdev, sectors[STAT_DISCARD]);
}
