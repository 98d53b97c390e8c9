/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers and constants that dm-remap needs and the `kernel` crate does not bind.
 *
 * bindgen drops constants behind casts. They get names of the form REMAP_CONST_* here; the
 * prefix is removed in the generated file.
 */

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/crc32.h>
#include <linux/device-mapper.h>
#include <linux/dm-io.h>
#include <linux/gfp.h>
#include <linux/ioprio.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

static const u8 REMAP_CONST_BLK_STS_OK = (__force u8)BLK_STS_OK;
static const u8 REMAP_CONST_BLK_STS_AGAIN = (__force u8)BLK_STS_AGAIN;
static const u8 REMAP_CONST_BLK_STS_NOTSUPP = (__force u8)BLK_STS_NOTSUPP;
static const u8 REMAP_CONST_BLK_STS_TARGET = (__force u8)BLK_STS_TARGET;
static const u8 REMAP_CONST_BLK_STS_IOERR = (__force u8)BLK_STS_IOERR;
static const u8 REMAP_CONST_BLK_STS_MEDIUM = (__force u8)BLK_STS_MEDIUM;
static const u8 REMAP_CONST_BLK_STS_PROTECTION = (__force u8)BLK_STS_PROTECTION;
static const u8 REMAP_CONST_BLK_STS_INVAL = (__force u8)BLK_STS_INVAL;
static const u8 REMAP_CONST_BLK_STS_RESOURCE = (__force u8)BLK_STS_RESOURCE;

static const u32 REMAP_CONST_REQ_OP_READ = (__force u32)REQ_OP_READ;
static const u32 REMAP_CONST_REQ_OP_WRITE = (__force u32)REQ_OP_WRITE;
static const u32 REMAP_CONST_REQ_OP_WRITE_ZEROES = (__force u32)REQ_OP_WRITE_ZEROES;
static const u32 REMAP_CONST_REQ_OP_MASK = (__force u32)REQ_OP_MASK;
static const u32 REMAP_CONST_REQ_PREFLUSH = (__force u32)REQ_PREFLUSH;
static const u32 REMAP_CONST_REQ_FUA = (__force u32)REQ_FUA;
static const u32 REMAP_CONST_REQ_SYNC = (__force u32)REQ_SYNC;
static const u32 REMAP_CONST_REQ_POLLED = (__force u32)REQ_POLLED;
static const u32 REMAP_CONST_REQ_RAHEAD = (__force u32)REQ_RAHEAD;
static const u32 REMAP_CONST_REQ_FAILFAST_MASK = (__force u32)REQ_FAILFAST_MASK;

static const u16 REMAP_CONST_IOPRIO_IDLE = IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT;

static const u32 REMAP_CONST_BLK_OPEN_READ = (__force u32)BLK_OPEN_READ;
static const u32 REMAP_CONST_BLK_OPEN_WRITE = (__force u32)BLK_OPEN_WRITE;
static const u32 REMAP_CONST_BLK_OPEN_RESTRICT_WRITES = (__force u32)BLK_OPEN_RESTRICT_WRITES;
static const u32 REMAP_CONST_BLK_OPEN_EXCL = (__force u32)BLK_OPEN_EXCL;
