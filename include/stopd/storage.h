/* storage.h - a device that is to be cleared: what it is, what it can do, how each method is done
 *
 * A driver is a table of functions over one open device. It carries out; what is allowed, in which
 * order things are tried and whether the outcome is believed is the executor's. Sizes and offsets
 * are bytes. Calls block, some for hours (a Format); nothing here is for use by two threads.
 * Methods and their words are those of local_storage.methods. */
#ifndef STOPD_STORAGE_H
#define STOPD_STORAGE_H

#include "stopd/error.h"

#include <sys/types.h>

enum storage_kind { STORAGE_BLOCK, STORAGE_FILE, STORAGE_KIND_MAX };
DECLARE_ENUM_WORDS(enum storage_kind, storage_kind); /* block file */

/* --- What a device is ------------------------------------------------------------------------ */

/* Everything by which a device can be told from another, as text. What it does not have is "".
 * Hexadecimal identifiers are lower-case without separators; a WWN is what the kernel calls wwid
 * ("eui.…", "naa.…"). */
enum identity_key {
    IDENTITY_SIZE,
    IDENTITY_SERIAL,
    IDENTITY_MODEL,
    IDENTITY_FIRMWARE,
    IDENTITY_NSID,
    IDENTITY_EUI64,
    IDENTITY_NGUID,
    IDENTITY_UUID,
    IDENTITY_WWN,
    IDENTITY_DEVNO,     /* of a block device: "259:0" */
    IDENTITY_DEVICE,    /* of a file: the device number of its file system, "254:1" … */
    IDENTITY_INODE,     /* … and its inode there */
    IDENTITY_PARTITION, /* where a partition lies on its disk: "first byte+length" */
    IDENTITY_VOLUME,    /* device mapper's uuid: "LVM-…" */
    IDENTITY_SEQUENCE,  /* the kernel's diskseq: another disk under the same number has another one
                         */
    IDENTITY_KEY_MAX
};
DECLARE_ENUM_WORDS(enum identity_key, identity_key);

#define IDENTITY_VALUE_SIZE 192

struct storage_identity {
    char value[IDENTITY_KEY_MAX][IDENTITY_VALUE_SIZE];
};

/* What a request says that the device has to be; NULL: anything. */
struct identity_expected {
    char *value[IDENTITY_KEY_MAX];
};

void identity_set(struct storage_identity *i, enum identity_key key, const char *format, ...)
    _printf_(3, 4);
/* Keeps what both writings of one identifier share: case, separators and the prefixes "0x", "eui.",
 * "naa.", "uuid." of hexadecimal ones, blanks at the ends of the rest. */
void identity_normalize(enum identity_key key, const char *value,
                        char ret[static IDENTITY_VALUE_SIZE]);
/* The first key in which the device is not what was expected, or IDENTITY_KEY_MAX. */
enum identity_key identity_mismatch(const struct storage_identity *i,
                                    const struct identity_expected *expected);
/* The first key in which two looks at a device differ, or IDENTITY_KEY_MAX. */
enum identity_key identity_difference(const struct storage_identity *a,
                                      const struct storage_identity *b);
/* Does it name at least one thing that tells this device from others (a serial, EUI-64, NGUID,
 * UUID, WWN or size; an inode with its device)? A model or a device number is none. */
bool identity_is_enough(const struct identity_expected *expected);
void identity_expected_clear(struct identity_expected *expected); /* frees the values */

/* --- What it can do -------------------------------------------------------------------------- */

enum clear_method {
    CLEAR_NVME_SANITIZE_CRYPTO,
    CLEAR_NVME_SANITIZE_BLOCK,
    CLEAR_NVME_FORMAT_CRYPTO,
    CLEAR_NVME_FORMAT_USER_DATA,
    CLEAR_WRITE_ZEROES,
    CLEAR_OVERWRITE,
    CLEAR_PUNCH_HOLE,
    CLEAR_DISCARD,
    CLEAR_METHOD_MAX
};
DECLARE_ENUM_WORDS(enum clear_method, clear_method);

/* NIST SP 800-88. LEVEL_NONE is what a method reaches that nobody may count on (discard). */
enum clear_level { LEVEL_NONE, LEVEL_CLEAR, LEVEL_PURGE, LEVEL_MAX };
DECLARE_ENUM_WORDS(enum clear_level, clear_level); /* none clear purge */

/* How far a method reaches. */
enum storage_reach {
    REACH_SPAN,      /* the bytes that it is given */
    REACH_DEVICE,    /* the whole device, in one command */
    REACH_SUBSYSTEM, /* the whole device and every other namespace of its NVM subsystem */
};

struct storage_offer {
    bool is_available;
    char why[192]; /* what the device says that makes it so, or why not: a clause */
    enum clear_level level;
    enum storage_reach reach;
    char technique[128]; /* for the certificate */
};

/* The other namespaces of an NVM subsystem. */
#define STORAGE_NEIGHBOURS_MAX 1024
struct storage_neighbours {
    uint32_t nsids[STORAGE_NEIGHBOURS_MAX];
    size_t n;
    char unknown[192]; /* why there may be more than these, or "" */
    char subsystem[257];
    /* Why the namespace itself may be in use by a controller that this host does not see, or "". */
    char foreign_controller[192];
};

/* What a certificate says of the device beside its identity. Pointers live as long as the
 * device. */
struct storage_facts {
    char maker[64];
    char media[64];  /* "NVMe solid-state drive", "rotating disk" … */
    char layout[96]; /* "LBA format 0: 512 bytes, no metadata" */
    uint32_t block_size;
    const void *identify_controller, *identify_namespace; /* 4096 bytes each, or NULL */
};

/* --- How it is cleared ----------------------------------------------------------------------- */

struct storage_span {
    uint64_t offset, length;
};

/* A command as it was sent. Runs of the same opcode over consecutive spans are one record. */
struct storage_command {
    char name[32]; /* "Format NVM", "BLKZEROOUT" */
    uint8_t opcode;
    uint32_t nsid, cdw10, cdw11;
    bool is_admin; /* opcode to cdw11 mean something */
    uint64_t count;
    struct storage_span span; /* all that the run covered, where the command takes one */
    int status;               /* 0, an NVMe status, or a negative errno */
};

#define STORAGE_COMMANDS_MAX 32
struct storage_record {
    struct storage_command commands[STORAGE_COMMANDS_MAX];
    size_t n;
};

void storage_record_command(struct storage_record *r, const struct storage_command *c);

/* Called while a method runs: done of total bytes (or of 65536, for a command that tells a
 * fraction). May sleep, to keep a pace; a negative return stops what can be stopped. Before
 * anything is done to up to `next` more bytes. */
struct storage_pace {
    int (*step)(void *context, uint64_t done, uint64_t total, uint64_t next, struct error **err);
    void *context;
};

/* Reads in any number of pieces, in no order. */
struct storage_reading {
    size_t piece; /* the longest span that next() gives; a power of two from 4096 to 1 MiB */
    int (*next)(void *context, struct storage_span *ret,
                struct error **err); /* 1, or 0 at the end, or negative */
    /* data is ours only during the call. A negative return ends the reading. */
    int (*look)(void *context, uint64_t offset, const void *data, size_t n, struct error **err);
    void *context;
};

/* Writes in any number of pieces, in no order: marks. */
struct storage_writing {
    size_t piece; /* the longest span that next() gives; a power of two from 4096 to 1 MiB */
    int (*next)(void *context, struct storage_span *ret, struct error **err); /* as above */
    void (*fill)(void *context, uint64_t offset, void *data, size_t n);
    /* It took it. Not called for what is not stored at all (a hole of a file). */
    void (*written)(void *context, uint64_t offset);
    void *context;
};

struct storage_device;
struct storage_ops {
    const char *name; /* nvme block file */
    /* What it is now, read through the descriptor that is held. */
    int (*identify)(struct storage_device *d, struct storage_identity *ret, struct error **err);
    int (*facts)(struct storage_device *d, struct storage_facts *ret, struct error **err);
    int (*offer)(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                 struct error **err);
    /* NULL: this kind has none. */
    int (*neighbours)(struct storage_device *d, struct storage_neighbours *ret, struct error **err);
    /* Opens it for writing and keeps others out until close. ERROR_CONFLICT: somebody else has
     * it. */
    int (*claim)(struct storage_device *d, struct error **err);
    /* For REACH_SPAN span is what to clear, else all of the device. may_exit: a failed sanitize may
     * leave the device usable with data on it (it may not where only a purge will do). */
    int (*clear)(struct storage_device *d, enum clear_method method, struct storage_span span,
                 bool may_exit, const struct storage_pace *pace, struct storage_record *record,
                 struct error **err);
    /* What was written is on the media when it returns. */
    int (*flush)(struct storage_device *d, struct error **err);
    int (*read)(struct storage_device *d, const struct storage_reading *reading,
                struct error **err);
    int (*write)(struct storage_device *d, const struct storage_writing *writing,
                 struct error **err);
    void (*close)(struct storage_device *d); /* frees it */
};

/* A driver's object begins with this. */
struct storage_device {
    const struct storage_ops *ops;
    enum storage_kind kind;
    char *path; /* with all links resolved */
    uint64_t size;
    uint32_t block_size; /* logical: the least that can be written */
    int look_fd;         /* read-only, through the page cache; -1: none */
    int fd;              /* for writing, unbuffered; -1 until claimed */
};

/* Opens for reading only; what kind of device it is comes from the device itself. */
int storage_open(const char *path, struct storage_device **ret, struct error **err);
void storage_close(struct storage_device *d);
DEFINE_CLEANUP(struct storage_device *, storage_close);

/* --- What the kernel says of devices ---------------------------------------------------------- */

/* The text of folder/attribute without blanks at its ends, cut to size; "" where there is none. */
void sysfs_text(const char *folder, const char *attribute, char *ret, size_t size);
/* 0 where there is none or it is no number. */
uint64_t sysfs_number(const char *folder, const char *attribute);
/* The last component of the link folder/attribute, or "". */
void sysfs_link(const char *folder, const char *attribute, char *ret, size_t size);

#endif
