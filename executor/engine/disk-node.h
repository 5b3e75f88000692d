/* disk-node.h - which device or file a path stands for, by number, and when two of them share bytes
 *
 * Names in /dev are links that can be turned, and the kernel hands out the rest of them anew with
 * every boot. Whether two paths mean one disk is therefore asked of device numbers and inodes. */
#ifndef STOPD_ENGINE_DISK_NODE_H
#define STOPD_ENGINE_DISK_NODE_H

#include "stopd/instance.h"
#include "stopd/pci.h"

#include <json-c/json.h>
#include <sys/types.h>

/* A stretch of a whole disk, or a file. */
struct disk_piece {
    dev_t device; /* the disk; of a file: its file system */
    ino_t inode;  /* of a file; 0: a disk */
    uint64_t start, sectors;
};

#define DISK_PIECES_MAX 64

struct disk_node {
    enum disk_source kind; /* DISK_OTHER: neither a block device nor a file */
    dev_t number;          /* of a block device: its own, be it a partition's */
    struct disk_piece self;
    struct disk_piece backing; /* of a loop device: the file whose bytes these are */
    bool has_backing;
    struct disk_piece beneath[DISK_PIECES_MAX]; /* what it stands on: a volume's disks, a loop's
                                                   file, a partition's own of those */
    size_t n_beneath;
};

/* 0, or a negative errno: -E2BIG where it stands on more than can be held. Follows links. */
int disk_node_of(const char *path, struct disk_node *ret);
int disk_node_of_number(dev_t number, struct disk_node *ret);

/* Is what one of them names also the other's, or underneath the other? Two volumes side by side on
 * one disk share nothing. */
bool disk_nodes_share(const struct disk_node *a, const struct disk_node *b);

/* The PCI devices that it hangs on (disk-controllers.h); none, for a file. 0 or a negative errno.
 */
int disk_node_controllers(const struct disk_node *node, struct pci_addresses *ret);

/* Finds the disk of this identity (see wipe-protocol.h), which was under this path once. By its
 * names, wherever it is now; a disk without a name of its own by its number, or in another boot
 * than that in which it was seen by its path. 0; -ENODEV: it is not on this host now; another
 * negative errno. */
int disk_node_find(const char *path, enum disk_source kind, json_object *identity, bool same_boot,
                   struct disk_node *ret);

/* When the file was made, in a writing that is equal for equal times. 0; -ENODATA: its file system
 * does not say; another negative errno. */
#define FILE_BIRTH_SIZE 40
int disk_file_birth(const char *path, char ret[static FILE_BIRTH_SIZE]);

/* The boot id of this run of the host. 0 or a negative errno. */
int disk_boot_id(char ret[static UUID_TEXT_SIZE]);

#endif
