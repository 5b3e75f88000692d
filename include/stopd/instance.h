/* instance.h - one domain as the cloud sees it: its definition with the metadata of
 * urn:stopd:instance:1
 *
 * A value: made by the hypervisor driver out of the domain's XML, read by everybody. Where live and
 * inactive definitions differ, locks and disks are those of both. */
#ifndef STOPD_INSTANCE_H
#define STOPD_INSTANCE_H

#include "stopd/error.h"
#include "stopd/pci.h"

enum network_kind { NETWORK_VPC, NETWORK_CLASSIC, NETWORK_MAX };
enum charge_kind { CHARGE_POSTPAID, CHARGE_PREPAID, CHARGE_MAX };
enum account_status { ACCOUNT_OK, ACCOUNT_EXPIRED, ACCOUNT_ARREARS, ACCOUNT_MAX };
DECLARE_ENUM_WORDS(enum network_kind, network_kind);     /* vpc classic */
DECLARE_ENUM_WORDS(enum charge_kind, charge_kind);       /* PostPaid PrePaid */
DECLARE_ENUM_WORDS(enum account_status, account_status); /* ok expired arrears */

/* What a stop does; *_UNSET: the next one down the line decides (command, metadata, configuration).
 */
enum stop_method { METHOD_UNSET, METHOD_ACPI, METHOD_AGENT, METHOD_AGENT_ACPI, METHOD_MAX };
enum timeout_action { ON_TIMEOUT_UNSET, ON_TIMEOUT_FAIL, ON_TIMEOUT_FORCE, ON_TIMEOUT_MAX };
enum stopped_mode {
    STOPPED_MODE_UNSET,
    STOPPED_MODE_KEEP_CHARGING,
    STOPPED_MODE_STOP_CHARGING,
    STOPPED_MODE_MAX
};
enum tristate { TRISTATE_UNSET, TRISTATE_NO, TRISTATE_YES };
DECLARE_ENUM_WORDS(enum stop_method, stop_method);       /* "" acpi agent agent,acpi */
DECLARE_ENUM_WORDS(enum timeout_action, timeout_action); /* "" fail force */
DECLARE_ENUM_WORDS(enum stopped_mode, stopped_mode);     /* "" KeepCharging StopCharging */

struct stop_policy {
    usec_t grace; /* 0: unset */
    enum stop_method method;
    enum timeout_action on_timeout;
    int priority; /* of a drain; higher goes first */
};

/* <ecs:local-disk>: what the metadata says a local disk is. Attributes that are absent are NULL. */
struct local_disk {
    char *target;
    char *serial, *eui64, *nguid, *wwn;
};

enum disk_source { DISK_BLOCK, DISK_FILE, DISK_OTHER, DISK_SOURCE_MAX };
DECLARE_ENUM_WORDS(enum disk_source, disk_source); /* block file other */

/* <disk>, of the live or the inactive definition. */
struct disk {
    char *target; /* vda */
    char *source; /* the path that libvirt names; NULL where there is none (empty CD drive, network)
                   */
    enum disk_source kind;
};

/* What a disk names beside its own source: the files of its backing chain, its mirror; or the
 * volume of a storage pool, whose path only the hypervisor can tell. */
struct disk_relative {
    char *target;        /* vda */
    char *path;          /* or, where that is NULL: */
    char *pool, *volume; /* names */
};

/* A PCI device of this host that is passed through: whatever hangs on it the guest has, when it
 * runs. */
struct pci_device {
    char address[PCI_ADDRESS_SIZE]; /* "": the definition's cannot be read */
};

struct instance {
    uuid_t uuid;
    char *name;
    char *id;   /* the metadata's id, or NULL */
    char *type; /* ecs.i1.xlarge, or NULL */
    enum network_kind network;
    enum charge_kind charge;
    enum account_status account;
    bool spot;
    enum tristate economical; /* StopCharging where it can be; overrides stop.stopped_mode */
    char *public_ip;
    char **locks; /* the reasons, live and inactive */
    size_t n_locks;
    struct local_disk *local_disks;
    size_t n_local_disks;
    struct disk *disks;
    size_t n_disks;
    struct disk_relative *relatives; /* of the disks, live and inactive */
    size_t n_relatives;
    struct pci_device *pci_devices; /* of all elements, live and inactive */
    size_t n_pci_devices;
    bool has_passthrough_nvme; /* <hostdev> or <disk type='nvme'>: the host cannot tell what the
                                  guest holds */
    struct stop_policy stop;
    unsigned vcpus;
    uint64_t memory_kib;
    /* The metadata could not be understood (a wrong value, two instance elements): a sentence, or
     * NULL. A stop of such an instance is refused with it; nothing is guessed. */
    char *metadata_error;
};

struct instance *instance_new(void); /* all empty; NULL when out of memory */
void instance_free(struct instance *i);
DEFINE_CLEANUP(struct instance *, instance_free);
struct instance *instance_copy(const struct instance *i);

/* What the outside calls it: the metadata's id, else the domain's name. */
const char *instance_public_id(const struct instance *i);
int instance_add_lock(struct instance *i,
                      const char *reason); /* 0 or -ENOMEM; a known one is not added again */
int instance_add_disk(struct instance *i, const char *target, const char *source,
                      enum disk_source kind);
/* A path, or a pool and a volume. The same of the same disk is not added again. */
int instance_add_relative(struct instance *i, const char *target, const char *path,
                          const char *pool, const char *volume);
/* The same address is not added again. */
int instance_add_pci_device(struct instance *i, const char *address);
/* Returns an all-NULL element to fill in, or NULL when out of memory. */
struct local_disk *instance_add_local_disk(struct instance *i);
bool instance_is_locked_for(const struct instance *i, const char *reason);
/* Is the type of one of these families ("ecs.i1" has "ecs.i1.xlarge", not "ecs.i12.large")? */
bool instance_is_of_family(const struct instance *i, const char *const *families,
                           size_t n_families);

#endif
