/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-failing-disk.h - a disk under SQLite that fails when a test says so: shim_register(),
 * sqlite3_vfs_register(&shim.vfs, 1), then the countdown.
 */
#ifndef SIM_SQLITE_FILE_TESTING_FAILING_DISK_H
#define SIM_SQLITE_FILE_TESTING_FAILING_DISK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	sqlite3_io_methods methods;
	long countdown; /* operations until one fails; negative: none */
	bool forever;   /* and all after it */
	int code;
	unsigned failed;
} shim;

struct shim_file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct shim_file *)(void *)file)->real;
}

static bool shim_fails(void)
{
	if (shim.countdown < 0)
		return false;
	if (shim.countdown > 0) {
		shim.countdown--;
		return false;
	}
	if (!shim.forever)
		shim.countdown = -1;
	shim.failed++;
	return true;
}

static int shim_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), data, len, at);
}

static int shim_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	return shim_fails() ? shim.code
			    : real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
}

static int shim_sync(sqlite3_file *file, int flags)
{
	return shim_fails() ? SQLITE_IOERR_FSYNC
			    : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int shim_close(sqlite3_file *file)
{
	int code = real_of(file)->pMethods->xClose(real_of(file));

	free(real_of(file));
	return code;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int shim_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int shim_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int shim_reserved(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int shim_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_device(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shim_open(
	sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct shim_file *shimmed = (struct shim_file *)(void *)file;
	int code;

	(void)vfs;
	shimmed->real = calloc(1, (size_t)shim.real->szOsFile);
	code = shim.real->xOpen(shim.real, name, shimmed->real, flags, ret_flags);
	if (code != SQLITE_OK) {
		free(shimmed->real);
		file->pMethods = NULL;
		return code;
	}
	file->pMethods = &shim.methods;
	return code;
}

static void shim_register(void)
{
	shim.real = sqlite3_vfs_find(NULL);
	shim.vfs = *shim.real;
	shim.vfs.zName = "failing";
	shim.vfs.szOsFile = sizeof(struct shim_file);
	shim.vfs.pNext = NULL;
	shim.vfs.xOpen = shim_open;
	shim.methods = (sqlite3_io_methods){ .iVersion = 1,
		.xClose = shim_close,
		.xRead = shim_read,
		.xWrite = shim_write,
		.xTruncate = shim_truncate,
		.xSync = shim_sync,
		.xFileSize = shim_size,
		.xLock = shim_lock,
		.xUnlock = shim_unlock,
		.xCheckReservedLock = shim_reserved,
		.xFileControl = shim_control,
		.xSectorSize = shim_sector,
		.xDeviceCharacteristics = shim_device };
	shim.countdown = -1;
	shim.code = SQLITE_IOERR_WRITE;
}

#endif
