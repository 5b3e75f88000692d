/* inode-set.h - a set of (device, inode) pairs */
#ifndef STOPD_WIPE_INODE_SET_H
#define STOPD_WIPE_INODE_SET_H

#include "stopd/base.h"

#include <sys/types.h>

struct inode_set {
    struct inode_key {
        dev_t device;
        ino_t inode; /* 0: an empty place */
    } * places;
    size_t n_places, n; /* places: a power of two */
};

bool inode_set_has(const struct inode_set *s, dev_t device, ino_t inode);
int inode_set_add(struct inode_set *s, dev_t device, ino_t inode); /* 0 or -ENOMEM */
void inode_set_clear(struct inode_set *s);

#endif
