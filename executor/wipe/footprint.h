/* footprint.h - all the ways by which somebody can get at the device */
#ifndef STOPD_WIPE_FOOTPRINT_H
#define STOPD_WIPE_FOOTPRINT_H

#include "stopd/storage.h"

#include <sys/types.h>

enum node_role {
    NODE_SELF,
    NODE_PARTITION, /* of it */
    NODE_WHOLE,     /* the disk that it is a partition of */
    NODE_SIBLING,   /* another partition of that disk */
    NODE_ALIAS, /* another node of the same namespace, by another controller, or a partition of that
                 */
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
int footprint_take_block(dev_t number, const char *sys, struct footprint *ret, struct error **err);
void footprint_clear(struct footprint *f);
/* The node with this number, or NULL. */
const struct node *footprint_find(const struct footprint *f, bool is_block, dev_t number);
const struct node *footprint_find_name(const struct footprint *f, const char *name);
/* For building one: the node whose attributes are in folder; one that is known is not added
 * again. */
int footprint_add(struct footprint *f, enum node_role role, bool is_block, const char *folder,
                  const char *name, struct error **err);
/* Everything in folder whose name has the prefix and that has the attribute. No folder, nothing. */
int footprint_add_all(struct footprint *f, enum node_role role, bool is_block, const char *folder,
                      const char *prefix, const char *attribute, struct error **err);
/* footprint-nvme.c: what else leads to the namespace of this disk (a folder of sysfs). */
int footprint_add_nvme(struct footprint *f, const char *disk, const char *sys, struct error **err);
bool footprint_is_file(const struct footprint *f, dev_t device, ino_t inode);

#endif
