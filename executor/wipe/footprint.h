/* footprint.h - all the ways by which somebody can get at the device */
#ifndef STOPD_WIPE_FOOTPRINT_H
#define STOPD_WIPE_FOOTPRINT_H

#include "stopd/storage.h"

#include <sys/types.h>

enum node_role {
    NODE_SELF,
    NODE_PARTITION,  /* of it */
    NODE_WHOLE,      /* the disk that it is a partition of */
    NODE_SIBLING,    /* another partition of that disk */
    NODE_CONTROLLER, /* a character device that takes commands for it: /dev/nvme0, /dev/sg1 … */
    NODE_ROLE_MAX
};

struct node {
    enum node_role role;
    bool is_block;
    dev_t number;
    char name[64]; /* the kernel's: nvme0n1p1 */
};

struct footprint {
    /* A block device's. */
    struct node *nodes;
    size_t n;
    /* A file's. */
    bool is_file;
    dev_t device;
    ino_t inode;
};

/* fd: the device, open. */
int footprint_take(int fd, const char *sys, struct footprint *ret, struct error **err);
void footprint_clear(struct footprint *f);
/* The node with this number, or NULL. */
const struct node *footprint_find(const struct footprint *f, bool is_block, dev_t number);
const struct node *footprint_find_name(const struct footprint *f, const char *name);
bool footprint_is_file(const struct footprint *f, dev_t device, ino_t inode);

#endif
