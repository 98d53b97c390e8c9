// SPDX-License-Identifier: GPL-2.0

#include <linux/blkdev.h>

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

bool remap_helper_bdev_is_gone(struct block_device *bdev)
{
	return test_bit(GD_DEAD, &bdev->bd_disk->state) || !get_capacity(bdev->bd_disk);
}
