/* fault-vfs.h - a disk under SQLite that fails when it is told to, and that knows what a power cut
 * would leave
 *
 * Theory of operation. SQLite reaches files through a table of functions, its VFS. This one stands
 * before the system's own and counts what changes a file: writes, truncations, syncs; or, for a
 * disk that cannot be read, what opens and reads it. The call whose turn it is fails as disks do: a
 * full one takes half of it or nothing, a broken one fails a sync of which the data may or may not
 * be there. A sync that succeeds also copies the file to
 * FILE.synced, which is what is left of it when the power goes at any later time before the next
 * sync. */
#ifndef STOPD_TESTS_FAULT_VFS_H
#define STOPD_TESTS_FAULT_VFS_H

#include "scratch.h"

#include <sqlite3.h>

enum fault_kind { FAULT_FULL, FAULT_BROKEN, FAULT_READ_ONLY, FAULT_UNREADABLE, FAULT_KIND_MAX };

static struct {
    bool active;
    long countdown; /* the call that makes it 0 fails */
    enum fault_kind kind;
    bool for_good; /* all later calls fail too */
    bool failed;   /* one has */
    bool keep_synced;
} fault;

/* From now on the Nth call fails. */
static inline void fault_arm(long n, enum fault_kind kind, bool for_good)
{
    fault.active = true;
    fault.countdown = n;
    fault.kind = kind;
    fault.for_good = for_good;
    fault.failed = false;
}

static inline void fault_disarm(void)
{
    fault.active = false;
}

static inline bool fault_is_due_of(bool is_reading)
{
    if (!fault.active || (fault.kind == FAULT_UNREADABLE) != is_reading ||
        (fault.failed && !fault.for_good) || (!fault.failed && --fault.countdown > 0))
        return false;
    fault.failed = true;
    errno = fault.kind == FAULT_FULL ? ENOSPC : fault.kind == FAULT_READ_ONLY ? EROFS : EIO;
    return true;
}

static inline bool fault_is_due(void)
{
    return fault_is_due_of(false);
}

struct fault_file {
    sqlite3_file base;
    const char *name;
    sqlite3_file *real;
};

static inline sqlite3_file *fault_real(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

#define FAULT_PASS(name, parameters, ...)                                      \
    static inline int fault_##name parameters                                  \
    {                                                                          \
        return fault_real(f)->pMethods->x##name(fault_real(f), ##__VA_ARGS__); \
    }
FAULT_PASS(Close, (sqlite3_file * f))
FAULT_PASS(Lock, (sqlite3_file * f, int kind), kind)
FAULT_PASS(Unlock, (sqlite3_file * f, int kind), kind)
FAULT_PASS(CheckReservedLock, (sqlite3_file * f, int *ret), ret)
FAULT_PASS(FileControl, (sqlite3_file * f, int op, void *arg), op, arg)
FAULT_PASS(SectorSize, (sqlite3_file * f))
FAULT_PASS(DeviceCharacteristics, (sqlite3_file * f))
FAULT_PASS(ShmMap, (sqlite3_file * f, int page, int size, int extend, void volatile **ret), page,
           size, extend, ret)
FAULT_PASS(ShmLock, (sqlite3_file * f, int offset, int n, int flags), offset, n, flags)
FAULT_PASS(ShmUnmap, (sqlite3_file * f, int delete), delete)

static inline void fault_ShmBarrier(sqlite3_file *f)
{
    fault_real(f)->pMethods->xShmBarrier(fault_real(f));
}

static inline int fault_Read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    return fault_is_due_of(true) ? SQLITE_IOERR_READ
                                 : fault_real(f)->pMethods->xRead(fault_real(f), to, n, at);
}

static inline int fault_FileSize(sqlite3_file *f, sqlite3_int64 *size)
{
    return fault_is_due_of(true) ? SQLITE_IOERR_FSTAT
                                 : fault_real(f)->pMethods->xFileSize(fault_real(f), size);
}

static inline int fault_Write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    sqlite3_file *real = fault_real(f);

    if (!fault_is_due())
        return real->pMethods->xWrite(real, bytes, n, at);
    if (fault.kind != FAULT_READ_ONLY && fault.countdown % 2 == 0) {
        int errnum = errno;

        real->pMethods->xWrite(real, bytes, n / 2, at);
        errno = errnum;
    }
    return fault.kind == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static inline int fault_Truncate(sqlite3_file *f, sqlite3_int64 size)
{
    if (fault_is_due())
        return SQLITE_IOERR_TRUNCATE;
    return fault_real(f)->pMethods->xTruncate(fault_real(f), size);
}

/* Nothing is put on a real disk: the copy is what counts. */
static inline int fault_Sync(sqlite3_file *f, int flags)
{
    const struct fault_file *file = (const struct fault_file *)f;
    char synced[256];

    if (fault_is_due())
        return SQLITE_IOERR_FSYNC;
    if (fault.keep_synced && file->name) {
        snprintf(synced, sizeof(synced), "%s.synced", file->name);
        scratch_copy(file->name, synced);
    }
    return SQLITE_OK;
}

static inline int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags,
                             int *ret)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = fault_Close,
        .xRead = fault_Read,
        .xWrite = fault_Write,
        .xTruncate = fault_Truncate,
        .xSync = fault_Sync,
        .xFileSize = fault_FileSize,
        .xLock = fault_Lock,
        .xUnlock = fault_Unlock,
        .xCheckReservedLock = fault_CheckReservedLock,
        .xFileControl = fault_FileControl,
        .xSectorSize = fault_SectorSize,
        .xDeviceCharacteristics = fault_DeviceCharacteristics,
        .xShmMap = fault_ShmMap,
        .xShmLock = fault_ShmLock,
        .xShmBarrier = fault_ShmBarrier,
        .xShmUnmap = fault_ShmUnmap,
    };
    struct fault_file *file = (struct fault_file *)f;
    sqlite3_vfs *real = vfs->pAppData;
    int r;

    file->base.pMethods = NULL;
    if (fault_is_due_of(true))
        return SQLITE_CANTOPEN;
    file->name = name;
    file->real = (sqlite3_file *)(file + 1);
    r = real->xOpen(real, name, file->real, flags, ret);
    file->base.pMethods = file->real->pMethods ? &methods : NULL;
    return r;
}

/* Every connection from now on is on this disk. */
static inline void fault_install(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    if (vfs.zName)
        return;
    vfs = *real;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct fault_file) + real->szOsFile;
    vfs.pAppData = real;
    vfs.xOpen = fault_open;
    sqlite3_vfs_register(&vfs, 1);
}

#endif
